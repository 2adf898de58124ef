-- Release commands that wait for their tenant's rate: as many as there are tokens, of each kind in
-- accepted order. The kinds take turns, so that one whose backend rests does not delay the others.
-- KEYS[1]  the shard's hash tag
-- ARGV     grace_ms, maximum number of released commands of a tenant and env if it has no rate, then
--          three for each tenant and env: tenant/env, microseconds for each command (0: no limit), kinds
--          with a line, separated by spaces
-- Returns  ref, op, queue and '' of each command to be woken now
-- The claim takes the token. A released command that is not claimed yet still needs one, so it is
-- remembered: its `nb` is -1 until then, and `w` is 1 if it waits behind another one of its key.
local shard, grace, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time, due = ledger_time(shard)
local now = time[1] * 1000000 + time[2]
due = due + grace
local woken = {}
-- Entries of commands that have ended meanwhile cost a look each; the next run continues.
local looks = 1000

local function record_of(ref)
  return shard .. ':op:' .. ref
end

for i = 3, #ARGV, 3 do
  local tenant_env, interval = ARGV[i], tonumber(ARGV[i + 1])
  local going, free = shard .. ':going:' .. tenant_env, most
  if interval > 0 then
    local full = full_at(shard, tenant_env, interval, now)
    keep_full(shard, tenant_env, full, now) -- a debt at a former rate ends here
    free = tokens_of(full, interval, now)
  end
  for _, ref in ipairs(redis.call('SMEMBERS', going)) do
    local r = redis.call('HMGET', record_of(ref), 'st', 'nb', 'w')
    if r[1] == 'queued' and r[2] == '-1' and r[3] ~= '1' then
      free = free - 1
    else
      redis.call('SREM', going, ref)
    end
  end
  local scopes = {}
  for kind in string.gmatch(ARGV[i + 2], '%S+') do
    scopes[#scopes + 1] = tenant_env .. '/' .. kind
  end
  local turn = time[2]
  while free > 0 and #scopes > 0 and looks > 0 do
    local at = turn % #scopes + 1
    local ref = redis.call('ZPOPMIN', shard .. ':line:' .. scopes[at])[1]
    if not ref then
      redis.call('SREM', shard .. ':lines', scopes[at])
      table.remove(scopes, at)
    else
      turn = turn + 1
      local r = redis.call('HMGET', record_of(ref), 'st', 'op', 'q')
      -- A command that has ended meanwhile (its deadline passed) is skipped.
      if r[1] == 'queued' then
        redis.call('HSET', record_of(ref), 'nb', -1, 'w', 0)
        redis.call('ZADD', shard .. ':due', 'XX', due, ref)
        redis.call('SADD', going, ref)
        local n = #woken
        woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = ref, r[2], r[3], ''
        free = free - 1
      else
        looks = looks - 1
      end
    end
  end
  redis.call('PEXPIRE', going, 3600000)
end
if #woken > 0 then
  redis.call('HINCRBY', shard .. ':count', 'woken', #woken / 4)
end
return woken
