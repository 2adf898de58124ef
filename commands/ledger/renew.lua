-- Move on the end of a lease, for a command whose content makes progress.
-- KEYS[1]  the shard's hash tag
-- ARGV     token, ref, milliseconds more
-- Returns  1, or 0 if the token does not hold the command any more
local shard, token, ref, more = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local record = shard .. ':op:' .. ref
local r = redis.call('HMGET', record, 'st', 'tok', 'until')
if r[1] == 'running' and r[2] == token then
  local till = tonumber(r[3]) + more
  redis.call('HSET', record, 'until', till)
  redis.call('ZADD', shard .. ':due', 'XX', 'GT', till, ref)
  return 1
end
local place, op_id = string.match(ref, '^([^/]*/[^/]*)/(.*)$')
local name = string.match(redis.call('HGET', shard .. ':ids:' .. place, op_id) or '', '^%d+')
local p = name and read_parcel(redis.call('HGET', shard .. ':par', name))
if not p or p.state ~= 'r' or p.token ~= token then
  return 0
end
p.till = p.till + more
keep_parcel(shard, name, p)
redis.call('ZADD', shard .. ':pdue', p.till, name)
return 1
