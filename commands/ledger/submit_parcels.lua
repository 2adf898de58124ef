-- Accept parcels with the ordinary commands. The others are returned, and are accepted as records.
-- KEYS[1]  the shard's hash tag
-- ARGV     grace_ms, open commands allowed for a tenant and env, commands of a scope on the queue (0 in
--          both: no limit), number of ring messages, queue and message of each, then for each parcel:
--          tenant/env, kind, queue, reply channel or '-', retention_ms, extra lease_ms, content,
--          number of commands, and three for each command: op_id, 16 bytes of its fingerprint, order
--          key or ''
-- Returns  queues to be rung for (see `ring`), then two for each parcel: its name ('' if nothing was
--          accepted; preceded by `=` if it is held), and the positions that were left out
local shard = KEYS[1]
local grace, most, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time, now, real, era = ledger_time(shard)
local answers, woken, accepted, known, messages = {}, {}, 0, {}, {}
if not era[2] and redis.call('EXISTS', shard .. ':seq') == 0 then
  begin_era(shard, this_server(), time, '') -- a new ledger: nothing is older
end

-- Order keys, by tenant/env, of commands that were left out so far: later ones must not overtake them.
local passed = {}

-- Return the positions, from 0, of commands that cannot be in a parcel: their op_id is known, or a
-- command is open on their key; and of all others on the same key, so that their order is kept.
local function left_out(tenant_env, first, size)
  local ops, names, keys, seen = {}, {}, {}, {}
  local bad, bad_keys = {}, passed[tenant_env] or {}
  passed[tenant_env] = bad_keys
  for p = 0, size - 1 do
    local at = first + 3 * p
    ops[p + 1] = ARGV[at]
    names[#names + 1] = shard .. ':op:' .. tenant_env .. '/' .. ARGV[at]
    if ARGV[at + 2] ~= '' and not seen[ARGV[at + 2]] then
      seen[ARGV[at + 2]] = true
      keys[#keys + 1] = ARGV[at + 2]
      names[#names + 1] = shard .. ':ord:' .. tenant_env .. '/' .. ARGV[at + 2]
    end
  end
  local entries = redis.call('HMGET', shard .. ':ids:' .. tenant_env, unpack(ops))
  local records = redis.call('EXISTS', unpack(names)) > 0
  local twice = {}
  for p = 0, size - 1 do
    local op, key = ops[p + 1], ARGV[first + 3 * p + 2]
    if twice[op] or (entries[p + 1] and leads(shard, entries[p + 1], known))
      or (records and redis.call('EXISTS', shard .. ':op:' .. tenant_env .. '/' .. op) == 1) then
      bad[p] = true
      bad_keys[key] = true
    end
    twice[op] = true
  end
  if #keys > 0 then
    local held = redis.call('HMGET', shard .. ':keys:' .. tenant_env, unpack(keys))
    for n, key in ipairs(keys) do
      if held[n]
        or (records and redis.call('EXISTS', shard .. ':ord:' .. tenant_env .. '/' .. key) == 1) then
        bad_keys[key] = true
      end
    end
  end
  local positions = {}
  for p = 0, size - 1 do
    local key = ARGV[first + 3 * p + 2]
    if bad[p] or (key ~= '' and bad_keys[key]) then
      positions[#positions + 1] = p
      bad[p] = true
    end
  end
  return positions, bad
end

local function accept(tenant_env, kind, queue, reply, ret, xl, content, size, first)
  local out, bad = left_out(tenant_env, first, size)
  local kept = size - #out
  local open = tonumber(redis.call('HGET', shard .. ':open', tenant_env) or 0)
  if kept == 0 or (era[5] or '') ~= '' or (most > 0 and open + kept > most) then
    out = {}
    for p = 0, size - 1 do
      out[#out + 1] = p
      passed[tenant_env][ARGV[first + 3 * p + 2]] = true
    end
    return '', out
  end
  local number = next_seq(shard, time)
  local name = string.format('%.0f', number)
  redis.call('SET', shard .. ':seq', string.format('%.0f', number + size - 1))
  local ids, keys = {}, {}
  for p = 0, size - 1 do
    if not bad[p] then
      local at = first + 3 * p
      ids[#ids + 1], ids[#ids + 2] = ARGV[at], name .. '.' .. p .. ':' .. ARGV[at + 1]
      if ARGV[at + 2] ~= '' then
        keys[#keys + 1], keys[#keys + 2] = ARGV[at + 2], name
      end
    end
  end
  redis.call('HSET', shard .. ':ids:' .. tenant_env, unpack(ids))
  if #keys > 0 then
    redis.call('HSET', shard .. ':keys:' .. tenant_env, unpack(keys))
  end
  redis.call('SET', shard .. ':c:' .. name, content)
  local p = {
    state = 'h', till = 0, token = '-', size = size, kept = kept, ret = ret, xl = xl, acc = real,
    queue = queue, scope = tenant_env .. '/' .. kind, reply = reply,
    skip = #out > 0 and table.concat(out, ',') or '-', clock = 0, by = '',
  }
  local flying, held = on_queue(shard, p.scope)
  if window > 0 and (held > 0 or flying >= window) then
    keep_parcel(shard, name, p)
    hold(shard, p.scope, held, { '= ' .. kept .. ' ' .. queue .. ' ' .. name }, kept, now)
  else
    make_ready(shard, name, p, now, grace, woken, messages)
  end
  redis.call('HINCRBY', shard .. ':open', tenant_env, kept)
  redis.call('HINCRBY', shard .. ':open', p.scope, kept)
  accepted = accepted + kept
  return (p.state == 'h' and '=' or '') .. name, out
end

local i = 5 + 2 * tonumber(ARGV[4])
for n = 5, i - 1, 2 do
  messages[ARGV[n]] = ARGV[n + 1]
end
while i <= #ARGV do
  local size = tonumber(ARGV[i + 7])
  local name, out = accept(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4],
    ARGV[i + 5], ARGV[i + 6], size, i + 8)
  answers[#answers + 1], answers[#answers + 2] = name, out
  i = i + 8 + 3 * size
end
if accepted > 0 then
  redis.call('HINCRBY', shard .. ':count', 'accepted', accepted)
end
return { woken, unpack(answers) }
