-- Finish commands: record outcomes, remove intents, and hand the order key over to the next ones.
-- KEYS[1]  the shard's hash tag
-- ARGV     token, grace_ms, handover_most, month, month_kept_s, commands of a scope on the queue (0: no
--          limit), commands released together, the room for messages without valid commands (see
--          fault.lua), the memory for commands that came without our client (ms, 0: none), then five
--          for each command:
--          ref, action, outcome or '' (retry, release: why it waits), delay_ms, use or ''
--          (refuse: the digest of the signed message in which it came, or '')
--          action is 'done' | 'dead' | 'refuse' (dead, and its op_id stays free)
--          | 'retry' (after the delay) | 'release' (not attempted)
--          | 'park' (attempted, but the attempt does not count) | 'pace' (not attempted; it waits in
--          its scope's line for the tenant's rate, at most for the delay)
--          | 'died' (a suspect's own process died during it: see claim.lua)
-- Returns  two lists: 1 or 0 for each command (0: another worker has the lease, and nothing was changed),
--          and ref, op, queue and '' of each command to be woken now; then the clock, and the name of
--          its era
local shard, token = KEYS[1], ARGV[1]
local grace, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local window, together = tonumber(ARGV[6]), tonumber(ARGV[7])
-- A script whose first write frees memory is completed even if the server is full.
redis.call('ZREM', shard .. ':due', '')
local time, now, real, known = ledger_time(shard)
local accepted, woken, replies, counts, released = {}, {}, {}, {}, {}
local closed, scopes, ended = {}, {}, {}
local ends = (#ARGV - 9) / 5
local clock = redis.call('INCRBY', shard .. ':clock', ends) - ends
local _, era = enter_era(shard, known, time, clock)

local FIELDS = 500 -- bytes that the record of a command takes beyond that of a document

local function count(name, by)
  counts[name] = (counts[name] or 0) + by
end

for i = 10, #ARGV, 5 do
  local ref, action, outcome = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record = shard .. ':op:' .. ref
  local r = redis.call('HMGET', record, 'st', 'tok', 'ord', 'ret', 'rep', 'att', 'op', 'fp')
  local state, order = r[1], r[3]
  local list = shard .. ':ord:' .. (order or '')
  local final = action == 'done' or action == 'dead' or action == 'refuse'
  local mine = state == 'running' and r[2] == token
  local line = {}
  if mine and final and order ~= '' then
    line = redis.call('LRANGE', list, 0, 1)
    -- If an earlier command on the key was taken over, all that was claimed after it is refused.
    mine = line[1] == ref
  end
  if mine and final then
    local fin = clock + (i - 5) / 5
    ended[#ended + 1] = ref
    if ARGV[i + 4] ~= '' and action ~= 'refuse' then
      count_use(ARGV[i + 4])
    end
    if action == 'done' then
      redis.call('HSET', record, 'st', action, 'out', outcome, 'fin', fin, 'cmd', '')
      redis.call('PEXPIRE', record, r[4])
    else
      -- A dead letter keeps its command for a replay.
      redis.call('HSET', record, 'st', 'dead', 'out', outcome, 'fin', fin)
      redis.call('ZADD', shard .. ':dead', real, ref)
      if action == 'refuse' then
        forget_both(shard, ref, r[8], real, tonumber(ARGV[9]), ARGV[i + 4])
        redis.call('HSET', record, 'fp', '')
        note_fault(shard, ref, real, #redis.call('HGET', record, 'cmd') + #outcome + FIELDS)
        drop_faults(shard, real, ARGV[8], ref)
      end
    end
    local tenant_env, scope = string.match(ref, '^[^/]*/[^/]*'), scope_of(ref, r[7])
    closed[tenant_env] = (closed[tenant_env] or 0) + 1
    scopes[scope] = (scopes[scope] or 0) + 1
    count(action == 'refuse' and 'dead' or action, 1)
    count('running', -1)
    -- There are two if it left a parcel that was submitted again.
    for channel in string.gmatch(r[5] or '', '[^,]+') do
      replies[channel] = (replies[channel] and replies[channel] .. '\n' or '') .. ref
    end
    if order ~= '' then
      redis.call('LPOP', list)
      released[list] = line[2] and true or nil
    end
  elseif mine then
    local due = now + tonumber(ARGV[i + 3])
    redis.call('HSET', record, 'st', 'queued', 'tok', '', 'nb', due, 'why', outcome)
    if action == 'release' or action == 'pace' then
      redis.call('HSET', record, 'att', tonumber(r[6]) - 1)
    elseif action == 'park' then
      -- Attempts continue to count, since the next one is a takeover; their limit grows too.
      redis.call('HINCRBY', record, 'base', 1)
    elseif action == 'died' then
      redis.call('HINCRBY', record, 'crash', 1)
    end
    redis.call('ZADD', shard .. ':due', due, ref)
    if action == 'pace' then
      local scope = scope_of(ref, r[7])
      redis.call('ZADD', shard .. ':line:' .. scope, redis.call('HGET', record, 'seq'), ref)
      redis.call('SADD', shard .. ':lines', scope)
    end
    if ARGV[i + 4] ~= '' then
      count_use(ARGV[i + 4]) -- how the attempt found its backend
    end
    count(action, 1)
    count('running', -1)
  elseif (state == 'done' or state == 'dead') and r[2] == token then
    mine = true -- a repeated finish whose first answer was lost
    if order ~= '' then
      released[list] = true
    end
  else
    count('refused', 1)
  end
  accepted[#accepted + 1] = mine and 1 or 0
end
for first = 1, #ended, 2000 do
  redis.call('ZREM', shard .. ':due', unpack(ended, first, math.min(first + 1999, #ended)))
end
-- Count fewer open commands. A zero stays only for op_id_sweep.py, which finds op_ids by it: nothing
-- is left of tenants and envs that were made up.
local function close(tenant_env, name, by)
  if redis.call('HINCRBY', shard .. ':open', name, -by) == 0
    and redis.call('EXISTS', shard .. ':ids:' .. tenant_env) == 0 then
    redis.call('HDEL', shard .. ':open', name)
  end
end

for tenant_env, by in pairs(closed) do
  close(tenant_env, tenant_env, by)
end
keep_uses(shard, ARGV[4], ARGV[5], real)
for list, _ in pairs(released) do
  hand_over(shard, list, most, now, grace, woken)
end
for scope, by in pairs(scopes) do
  close(string.match(scope, '^[^/]*/[^/]*'), scope, by)
  local flying, held = on_queue(shard, scope)
  -- Held commands are released many at a time, in one message. If the window was lifted, the
  -- reconciler releases all of them.
  if held > 0 and flying <= window - together then
    let_go(shard, scope, window - flying, now, grace, woken, '')
  end
end
for channel, refs in pairs(replies) do
  redis.call('PUBLISH', channel, refs)
end
for name, by in pairs(counts) do
  redis.call('HINCRBY', shard .. ':count', name, by)
end
return { accepted, woken, clock + ends, era }
