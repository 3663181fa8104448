-- Renew fences, and remove values with their leases; from then on nothing older than the version.
-- KEYS: fences, then value, lease and floor of each. ARGV: number of fences, a new fence's token,
-- fence seconds, floor seconds, then the version of each fence and each value.
local fences = tonumber(ARGV[1])
local argument = 5
for i = 1, fences do
    local old = redis.call('GET', KEYS[i])
    local version = math.max(tonumber(ARGV[argument]), old and tonumber(string.sub(old, 17)) or 0)
    redis.call('SET', KEYS[i], ARGV[2] .. string.format('%016.0f', version), 'EX', ARGV[3])
    argument = argument + 1
end
for i = fences + 1, #KEYS, 3 do
    redis.call('UNLINK', KEYS[i], KEYS[i + 1])
    local version = tonumber(ARGV[argument])
    if version > tonumber(redis.call('GET', KEYS[i + 2]) or '0') then
        redis.call('SET', KEYS[i + 2], string.format('%016.0f', version), 'EX', ARGV[4])
    end
    argument = argument + 1
end
return 0
