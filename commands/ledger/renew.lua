-- Extend the lease of a command whose content is being transferred.
-- KEYS[1]  the shard's hash tag
-- ARGV     token, ref, milliseconds from now for which the command needs it at least
-- Returns  1, or 0 if the token does not hold the command any more
-- The lease of a parcel is that of the command in it that needs the longest.
local shard, token, ref = KEYS[1], ARGV[1], ARGV[2]
local _, now = ledger_time(shard)
local till = now + tonumber(ARGV[3])
local record = shard .. ':op:' .. ref
local r = redis.call('HMGET', record, 'st', 'tok', 'until')
if r[1] == 'running' and r[2] == token then
  if till > tonumber(r[3]) then
    redis.call('HSET', record, 'until', string.format('%.0f', till))
    redis.call('ZADD', shard .. ':due', 'XX', 'GT', till, ref)
  end
  return 1
end
local tenant_env, op_id = string.match(ref, '^([^/]*/[^/]*)/(.*)$')
local name = string.match(redis.call('HGET', shard .. ':ids:' .. tenant_env, op_id) or '', '^%d+')
local p = name and read_parcel(redis.call('HGET', shard .. ':par', name))
if not p or p.state ~= 'r' or p.token ~= token then
  return 0
end
if till > p.till then
  p.till = till
  keep_parcel(shard, name, p)
  redis.call('ZADD', shard .. ':pdue', till, name)
end
return 1
