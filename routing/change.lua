-- Append one event to the route log and apply it to its route, if nothing came in between.
-- KEYS[1]  the registry's hash tag
-- ARGV     change_id, epoch, revision before, hash before, event (JSON), hash,
--          scope field, 'set' | 'delete' | 'none', route (JSON) or '', kind, change_ttl_ms
-- Returns  'ok' revision | 'known' revision (this change was applied before) | 'moved'
local rt = KEYS[1]
local head = redis.call('HMGET', rt .. ':head', 'epoch', 'rev', 'hash')
local change = rt .. ':change:' .. ARGV[1]
local known = redis.call('GET', change)
if known then
  return { 'known', known }
end
if head[1] then
  if head[1] ~= ARGV[2] or head[2] ~= ARGV[3] or head[3] ~= ARGV[4] then
    return { 'moved', 0 }
  end
elseif ARGV[3] ~= '0' then
  return { 'moved', 0 }
end
local revision = string.format('%d', tonumber(ARGV[3]) + 1)
local time = redis.call('TIME')
local field, action = ARGV[7], ARGV[8]
redis.call('HSET', rt .. ':head', 'epoch', ARGV[2], 'rev', revision, 'hash', ARGV[6])
redis.call('XADD', rt .. ':log', revision .. '-0', 'event', ARGV[5], 'at',
  time[1] .. string.format('%06d', time[2]))
redis.call('RPUSH', rt .. ':history:' .. field, revision)
redis.call('SET', change, revision, 'PX', ARGV[11])
if action ~= 'none' then
  redis.call('HSET', rt .. ':fence', field, revision .. '-' .. string.sub(ARGV[6], 1, 16))
  local member = string.sub(field, #ARGV[10] + 2)
  if action == 'set' then
    redis.call('HSET', rt .. ':routes', field, ARGV[9])
    redis.call('ZADD', rt .. ':index:' .. ARGV[10], 0, member)
  else
    redis.call('HDEL', rt .. ':routes', field)
    redis.call('ZREM', rt .. ':index:' .. ARGV[10], member)
  end
end
return { 'ok', revision }
