-- Store values, each unless something was invalidated since its load began or it is older than what
-- is known; 1 for each that was stored.
-- KEYS: fences, then value, lease and floor of each. ARGV: number of fences, our token ('' needs no
-- lease), the fences as they were, then value, milliseconds and length of the head of each.
local fences = tonumber(ARGV[1])
local oldest = 0
local answer = {}
local fenced = false
for i = 1, fences do
    local now = redis.call('GET', KEYS[i])
    if now ~= ARGV[2 + i] then
        fenced = true
    else
        oldest = math.max(oldest, tonumber(string.sub(now, 17)))
    end
end
local argument = fences + 3
for i = fences + 1, #KEYS, 3 do
    local value, milliseconds, head = ARGV[argument], ARGV[argument + 1], tonumber(ARGV[argument + 2])
    local version = tonumber(string.sub(value, 1, 16))
    local least = math.max(oldest, tonumber(redis.call('GET', KEYS[i + 2]) or '0'))
    local stored = redis.call('GETRANGE', KEYS[i], 0, head - 1)
    if string.sub(stored, 26) == string.sub(value, 26, head) then
        least = math.max(least, tonumber(string.sub(stored, 1, 16)))
    end
    local ours = ARGV[2] == '' or redis.call('GET', KEYS[i + 1]) == ARGV[2]
    if ours then
        redis.call('UNLINK', KEYS[i + 1])
    end
    if ours and not fenced and version >= least then
        redis.call('SET', KEYS[i], value, 'PX', milliseconds)
        answer[#answer + 1] = 1
    else
        answer[#answer + 1] = 0
    end
    argument = argument + 3
end
return answer
