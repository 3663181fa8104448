-- The fences as they are, made where they were lost, then for each lease 1 if it is now ours.
-- KEYS: fences, leases. ARGV: number of fences, our token, lease ms, fence seconds, a new fence.
local fences = tonumber(ARGV[1])
local answer = {}
for i, key in ipairs(KEYS) do
    if i > fences then
        answer[i] = redis.call('SET', key, ARGV[2], 'NX', 'PX', ARGV[3]) and 1 or 0
    else
        answer[i] = redis.call('GET', key)
        if not answer[i] then
            answer[i] = ARGV[5]
            redis.call('SET', key, ARGV[5], 'EX', ARGV[4])
        end
    end
end
return answer
