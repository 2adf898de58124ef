-- Move on the end of a lease, for a command whose content makes progress.
-- KEYS[1]  the shard's hash tag
-- ARGV     token, ref, milliseconds more
-- Returns  1, or 0 if the token does not hold the command any more
local record = KEYS[1] .. ':op:' .. ARGV[2]
local r = redis.call('HMGET', record, 'st', 'tok', 'until')
if r[1] ~= 'running' or r[2] ~= ARGV[1] then
  return 0
end
local till = tonumber(r[3]) + tonumber(ARGV[3])
redis.call('HSET', record, 'until', till)
redis.call('ZADD', KEYS[1] .. ':due', 'XX', 'GT', till, ARGV[2])
return 1
