-- Find commands whose due time has come: a lost wake-up, a dead worker, a retry, a hand-over.
-- KEYS[1]  the shard's hash tag
-- ARGV     most, grace_ms, commands of a scope let go together
-- Returns  ref, op, queue, group of each command to be woken; those of one group in one message
--
-- What a dead worker held is suspect: one of them may have killed it. So it comes back in small
-- groups one after the other, and after a second death alone (groups that begin with `!`): what
-- is poison then dies without its neighbours.
local shard = KEYS[1]
local most, grace = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local GROUP, GROUP_MS, SINGLE_MS = 10, 100, 100
local woken, suspects, singles = {}, 0, 0

local function wake(ref, record, op, queue, order, group)
  redis.call('ZADD', shard .. ':due', now + grace, ref)
  if order ~= '' and redis.call('LINDEX', shard .. ':ord:' .. order, 0) ~= ref then
    redis.call('HSET', record, 'w', 1) -- behind another: the hand-over wakes it
    return
  end
  local n = #woken
  woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = ref, op, queue, group
end

for _, ref in ipairs(redis.call('ZRANGEBYSCORE', shard .. ':due', '-inf', now, 'LIMIT', 0, most)) do
  local record = shard .. ':op:' .. ref
  local r = redis.call('HMGET', record, 'st', 'op', 'q', 'ord', 'crash', 'sg')
  if r[1] == 'queued' then
    wake(ref, record, r[2], r[3], r[4], '')
  elseif r[1] == 'running' and r[6] and r[6] ~= '' then
    redis.call('HSET', record, 'sg', '')
    wake(ref, record, r[2], r[3], r[4], r[6])
  elseif r[1] == 'running' then
    local at, sign = 0, ''
    if tonumber(r[5] or 0) == 0 then
      at = now + math.floor(suspects / GROUP) * GROUP_MS
      suspects = suspects + 1
    else
      at = now + singles * SINGLE_MS
      singles = singles + 1
      sign = '!'
    end
    local group = sign .. string.format('%.0f', at)
    if at == now then
      wake(ref, record, r[2], r[3], r[4], group)
    else
      redis.call('HSET', record, 'sg', group)
      redis.call('ZADD', shard .. ':due', at, ref)
    end
  else
    redis.call('ZREM', shard .. ':due', ref)
  end
end
-- What is held goes on when others of its scope end. Where none has for so long, all that are
-- on the queue may wait for something: a few more go by.
for _, scope in ipairs(
  redis.call('ZRANGEBYSCORE', shard .. ':holds', '-inf', now - grace, 'LIMIT', 0, 10)) do
  let_go(shard, scope, tonumber(ARGV[3]), now, grace, woken, '')
end
if #woken > 0 then
  redis.call('HINCRBY', shard .. ':count', 'woken', #woken / 4)
end
return woken
