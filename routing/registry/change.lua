-- Append one event to the log and apply it, if nothing came in between.
-- KEYS[1]  the registry's hash tag
-- ARGV     change_id, epoch before, revision before, hash before, event (JSON), epoch, hash,
--          subject, action, value (JSON) or '', actor, lock token or '', change_ttl_ms;
--          where changes are signed also: the signature, '1' if the tree of records begins anew,
--          and the fields of the tree that change, each with its value
-- action   'none' | 'set' | 'delete' (a route) | 'lock' | 'unlock' | 'force' (a lock)
--          | 'policy' | 'principals' | 'rebase'
-- value    where changes are signed, also the mark that a deletion leaves, and the event of a rebase
-- Returns  'ok' revision | 'known' revision (this change was applied before) | 'moved'
local rt = KEYS[1]
local change = rt .. ':change:' .. ARGV[1]
local known = redis.call('GET', change)
if known then
  return { 'known', known }
end
local head = redis.call('HMGET', rt .. ':head', 'epoch', 'rev', 'hash')
if head[1] then
  if head[1] ~= ARGV[2] or head[2] ~= ARGV[3] or head[3] ~= ARGV[4] then
    return { 'moved', 0 }
  end
elseif ARGV[3] ~= '0' then
  return { 'moved', 0 }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local subject, action, value = ARGV[8], ARGV[9], ARGV[10]
if action == 'set' or action == 'delete' or action == 'lock' or action == 'unlock' then
  local lock = redis.call('HGET', rt .. ':locks', subject)
  if lock then
    local held = cjson.decode(lock)
    local its = held.owner == ARGV[11]
      and (ARGV[12] == '' or ARGV[12] == string.format('%d', held.token))
    if held.until_ms > now and not its then
      return { 'moved', 0 } -- read again, it says who holds it
    end
  end
end
local revision = string.format('%d', tonumber(ARGV[3]) + 1)
redis.call('HSET', rt .. ':head', 'epoch', ARGV[6], 'rev', revision, 'hash', ARGV[7])
-- Beside the fences, so that every claim reads how far the registry is.
redis.call('HSET', rt .. ':fence', '@epoch', ARGV[6] .. '/' .. revision .. '-'
  .. string.sub(ARGV[7], 1, 16))
redis.call('XADD', rt .. ':log', revision .. '-0', 'event', ARGV[5], 'subject', subject, 'at',
  time[1] .. string.format('%06d', time[2]))
redis.call('RPUSH', rt .. ':history:' .. subject, revision)
redis.call('SET', change, revision, 'PX', ARGV[13])
if ARGV[14] then
  redis.call('HSET', rt .. ':head', 'proof', ARGV[14])
  if ARGV[15] == '1' then
    redis.call('DEL', rt .. ':tree')
  end
  for n = 16, #ARGV, 2 do
    redis.call('HSET', rt .. ':tree', ARGV[n], ARGV[n + 1])
  end
end
if action == 'lock' then
  redis.call('HSET', rt .. ':locks', subject, value)
elseif action == 'unlock' or action == 'force' then
  redis.call('HDEL', rt .. ':locks', subject)
elseif action == 'rebase' then
  if value ~= '' then
    redis.call('HSET', rt .. ':head', 'rebased', value)
  end
elseif action == 'principals' then
  redis.call('HSET', rt .. ':fence', 'principals', revision .. '-' .. string.sub(ARGV[7], 1, 16))
  redis.call('HSET', rt .. ':principals', 'all', value)
elseif action == 'set' or action == 'delete' or action == 'policy' then
  redis.call('HSET', rt .. ':fence', subject, revision .. '-' .. string.sub(ARGV[7], 1, 16))
  local kind, member = string.match(subject, '^([^/]*)/(.*)$')
  if action == 'policy' then
    redis.call('HSET', rt .. ':policies', member, value)
  elseif action == 'set' then
    redis.call('HSET', rt .. ':routes', subject, value)
    redis.call('ZADD', rt .. ':index:' .. kind, 0, member)
  else
    redis.call('HDEL', rt .. ':routes', subject)
    redis.call('ZREM', rt .. ':index:' .. kind, member)
    if value ~= '' then
      redis.call('HSET', rt .. ':gone', subject, value)
    end
  end
end
return { 'ok', revision }
