-- Accept commands: record each intent once, with its position in the order and a due time.
-- KEYS[1]  the shard's hash tag
-- ARGV     grace_ms, open commands allowed for a tenant and env, commands of a scope on the queue (0 in
--          both: no limit), then ten for each command: ref, fingerprint, op, queue, order key or '',
--          command, retention_ms, reply channel or '', extra lease_ms, and the ms for which it is
--          remembered after its outcome (0: not), followed by a colon and the digest of its signed
--          message if that is to be remembered as long
-- Returns  three for each command: 'new' | 'held' | 'same' | 'conflict' | 'full', seq (0: known only
--          from that memory), outcome or '' ('+': it is among those of a parcel)
local shard = KEYS[1]
local grace, most, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time, now, real, era = ledger_time(shard)
local answers, dues = {}, {}
local open, opened, scopes = {}, {}, {}
local first = next_seq(shard, time) - 1
if not era[2] and redis.call('EXISTS', shard .. ':seq') == 0 then
  begin_era(shard, this_server(), time, '') -- a new ledger: nothing is older
end
local seq = first

local function read_scope(scope)
  local flying, held = on_queue(shard, scope)
  return { flying = flying, held = held, opened = 0, entries = {} }
end

-- Return the answer for a command that is or was in a parcel; nil for any other.
-- An existing outcome is '+': the caller reads it like any other.
local parcels = {}
local function in_parcel(tenant_env, ref, fingerprint, reply)
  local op_id = string.sub(ref, #tenant_env + 2)
  local entry = redis.call('HGET', shard .. ':ids:' .. tenant_env, op_id)
  if not entry or not leads(shard, entry, parcels) then
    return nil
  end
  local name, position, digest = string.match(entry, '^(%d+)%.(%d+):(.*)$')
  local seq = string.format('%.0f', tonumber(name) + position)
  local same = string.gsub(fingerprint, '%x%x', function(pair)
    return string.char(tonumber(pair, 16))
  end)
  if same ~= digest then
    return { 'conflict', seq, '' }
  end
  local p = read_parcel(redis.call('HGET', shard .. ':par', name))
  if not p then
    return { 'same', seq, '+' }
  end
  -- A repeated submit waits for the outcome too.
  if reply ~= '' and not string.find(',' .. p.reply .. ',', ',' .. reply .. ',', 1, true) then
    p.reply = p.reply == '-' and reply or reply .. ',' .. string.match(p.reply, '[^,]*')
    keep_parcel(shard, name, p)
  end
  return { 'same', seq, '' }
end

for i = 4, #ARGV, 10 do
  local ref, op, order = ARGV[i], ARGV[i + 2], ARGV[i + 4]
  local tenant_env, scope = string.match(ref, '^[^/]*/[^/]*'), scope_of(ref, op)
  if not open[tenant_env] then
    open[tenant_env] = tonumber(redis.call('HGET', shard .. ':open', tenant_env) or 0)
    opened[tenant_env] = 0
  end
  local record = shard .. ':op:' .. ref
  local known = redis.call('HMGET', record, 'fp', 'seq', 'out')
  if known[1] == '' then
    -- The dead letter was an invalid command: the corrected one replaces it.
    redis.call('DEL', record)
    redis.call('ZREM', shard .. ':dead', ref)
    known[1] = false
  end
  local n = #answers
  local elsewhere = not known[1] and in_parcel(tenant_env, ref, ARGV[i + 1], ARGV[i + 7])
  if elsewhere then
    answers[n + 1], answers[n + 2], answers[n + 3] = unpack(elsewhere)
  elseif known[1] then
    local same = known[1] == ARGV[i + 1]
    answers[n + 1], answers[n + 2] = same and 'same' or 'conflict', known[2]
    answers[n + 3] = same and known[3] or ''
    -- A repeated submit waits for the outcome too: the last caller is notified.
    if same and not known[3] and ARGV[i + 7] ~= '' then
      redis.call('HSET', record, 'rep', ARGV[i + 7])
    end
  elseif met_before(shard, ref, ARGV[i + 1], real, ARGV[i + 9]) then
    answers[n + 1], answers[n + 2], answers[n + 3] = 'same', 0, ''
  elseif most > 0 and open[tenant_env] + opened[tenant_env] >= most then
    answers[n + 1], answers[n + 2], answers[n + 3] = 'full', 0, ''
  else
    seq = seq + 1
    local number = string.format('%.0f', seq)
    redis.call('HSET', record, 'st', 'queued', 'fp', ARGV[i + 1], 'op', op,
      'q', ARGV[i + 3], 'ord', order, 'cmd', ARGV[i + 5], 'ret', ARGV[i + 6],
      'rep', ARGV[i + 7], 'xl', ARGV[i + 8], 'seq', number, 'att', 0, 'acc', real)
    if order ~= '' then
      queue_up(shard, tenant_env, string.sub(order, #tenant_env + 2), ref)
    end
    remember_both(shard, ref, ARGV[i + 1], real, ARGV[i + 9])
    opened[tenant_env] = opened[tenant_env] + 1
    local its = scopes[scope]
    if not its then
      its = read_scope(scope)
      scopes[scope] = its
    end
    its.opened = its.opened + 1
    local due = now + grace
    answers[n + 1], answers[n + 2], answers[n + 3] = 'new', number, ''
    if window > 0 and (its.held + #its.entries > 0 or its.flying >= window) then
      its.entries[#its.entries + 1] = op .. ' ' .. ARGV[i + 3] .. ' ' .. ref
      answers[n + 1], due = 'held', FAR
    else
      its.flying = its.flying + 1
    end
    dues[#dues + 1], dues[#dues + 2] = due, ref
  end
end
if seq > first then
  redis.call('SET', shard .. ':seq', string.format('%.0f', seq))
  redis.call('HINCRBY', shard .. ':count', 'accepted', seq - first)
end
-- A script's call takes some thousands of arguments at most.
for at = 1, #dues, 2000 do
  redis.call('ZADD', shard .. ':due', unpack(dues, at, math.min(at + 1999, #dues)))
end
for tenant_env, by in pairs(opened) do
  if by > 0 then
    redis.call('HINCRBY', shard .. ':open', tenant_env, by)
  end
end
for scope, its in pairs(scopes) do
  redis.call('HINCRBY', shard .. ':open', scope, its.opened)
  if #its.entries > 0 then
    hold(shard, scope, its.held, its.entries, #its.entries, now)
  end
end
return answers
