-- Find commands whose due time has come: a lost wake-up, a dead worker, a retry, a hand-over.
-- KEYS[1]  the shard's hash tag
-- ARGV     most, grace_ms
-- Returns  ref, op, queue of each command to be woken
local shard = KEYS[1]
local most, grace = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local woken = {}
for _, ref in ipairs(redis.call('ZRANGEBYSCORE', shard .. ':due', '-inf', now, 'LIMIT', 0, most)) do
  local record = shard .. ':op:' .. ref
  local r = redis.call('HMGET', record, 'st', 'op', 'q', 'ord')
  if r[1] == 'queued' or r[1] == 'running' then
    redis.call('ZADD', shard .. ':due', now + grace, ref)
    if r[4] ~= '' and redis.call('LINDEX', shard .. ':ord:' .. r[4], 0) ~= ref then
      redis.call('HSET', record, 'w', 1) -- behind another: the hand-over wakes it
    else
      woken[#woken + 1], woken[#woken + 2], woken[#woken + 3] = ref, r[2], r[3]
    end
  else
    redis.call('ZREM', shard .. ':due', ref)
  end
end
if #woken > 0 then
  redis.call('HINCRBY', shard .. ':count', 'woken', #woken / 3)
end
return woken
