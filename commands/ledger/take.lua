-- Take ready parcels: all their commands run now, under one token and lease.
-- KEYS[1]  the shard's hash tag
-- ARGV     queue, token, lease_ms, maximum number of commands, worker, 1 if this follows a ring, the
--          milliseconds until the caller comes again if it gets something and if it gets nothing (0: it
--          does not), grace_ms, epoch, era and clock that the worker has seen of this shard ('', ''
--          and 0: none)
-- Returns  queues to be rung for; the time (microseconds), epoch, era, clock, what the ledger lost or
--          '', the last number of the previous era, the lease (ms), the milliseconds within which the
--          caller must come again (0: it need not); then three for each parcel: name, :par and content
-- If the ledger lost entries, the parcels must be given back: nothing in them runs, except reads of the
-- archive, which show what was lost.
-- A repeat with the same token takes the same parcels under a new lease, since the worker measures the
-- lease from its last request.
local shard, queue, token, worker = KEYS[1], ARGV[1], ARGV[2], ARGV[5]
local lease, most, grace = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[9])
local time, now, _, known = ledger_time(shard)
local clock = tonumber(redis.call('GET', shard .. ':clock') or 0)
local epoch, era, before, lost = enter_era(shard, known, time, clock)
local seen_clock = tonumber(ARGV[12])
if lost == '' and lacks(shard, epoch, era, clock, ARGV[10], ARGV[11], seen_clock) then
  lost = note_lost(shard, clock, ARGV[11], seen_clock, worker)
end
local woken, ready, extra = {}, shard .. ':rdy:' .. queue, 0
local names, parcels, again = {}, {}, redis.call('GET', shard .. ':took:' .. token)
local taken, passed = 0, 0

local function look(list)
  if #list == 0 then
    return {}
  end
  return redis.call('HMGET', shard .. ':par', unpack(list))
end

if again then
  local before_names = {}
  for name in string.gmatch(again, '%S+') do
    before_names[#before_names + 1] = name
  end
  for n, text in ipairs(look(before_names)) do
    local p = read_parcel(text)
    if p and p.state == 'r' and p.token == token then
      names[#names + 1], parcels[#parcels + 1] = before_names[n], p
    end
  end
else
  local list = redis.call('LRANGE', ready, 0, math.min(most, 100) - 1)
  for n, text in ipairs(look(list)) do
    if taken >= most then
      break
    end
    passed = n
    local p = read_parcel(text)
    if p and p.state == 'q' then
      names[#names + 1], parcels[#parcels + 1] = list[n], p
      taken = taken + p.kept
    end
  end
end

local rows = {}
if #names > 0 then
  local all, contents, written, dues = 0, {}, {}, {}
  for _, p in ipairs(parcels) do
    all, extra = all + p.size, extra + p.xl
  end
  local till = now + lease + extra
  -- The first write is one that a full Redis refuses, so that nothing has changed then.
  redis.call('INCRBY', shard .. ':clock', all)
  for n, p in ipairs(parcels) do
    contents[n] = shard .. ':c:' .. names[n]
    p.state, p.till, p.token, p.by = 'r', till, token, worker
    p.clock = string.format('%.0f', clock)
    written[#written + 1], written[#written + 2] = names[n], write_parcel(p)
    dues[#dues + 1], dues[#dues + 2] = till, names[n]
    clock = clock + p.size
  end
  redis.call('HSET', shard .. ':par', unpack(written))
  redis.call('ZADD', shard .. ':pdue', unpack(dues))
  redis.call('SET', shard .. ':took:' .. token, table.concat(names, ' '), 'PX',
    math.max(1, lease + extra))
  local found = redis.call('MGET', unpack(contents))
  for n = 1, #parcels do
    rows[3 * n - 2], rows[3 * n - 1], rows[3 * n] = names[n], written[2 * n], found[n] or ''
  end
end
if passed > 0 then
  redis.call('LTRIM', ready, passed, -1)
end
if taken > 0 then
  redis.call('HINCRBY', shard .. ':count', 'claimed', taken)
  redis.call('HINCRBY', shard .. ':count', 'running', taken)
end
if ARGV[6] == '1' then
  redis.call('HDEL', shard .. ':open', 'g/' .. queue)
end
local counted = tonumber(redis.call('HGET', shard .. ':open', 'r/' .. queue) or 0)
-- The list shows whether there are any: a count that drifted would ring for nothing, or not at all.
local left = redis.call('LLEN', ready) > 0 and math.max(counted - taken, 1) or 0
if left ~= counted then
  redis.call('HSET', shard .. ':open', 'r/' .. queue, left)
end
local back = tonumber(#names > 0 and ARGV[7] or ARGV[8])
if taken == 1 and left == 0 then
  back = 0 -- where commands come one by one, a ring for the next costs less than a look for it
end
if back > 0 then
  redis.call('ZADD', shard .. ':bell', now + back, queue)
  if left >= HELP then
    ring(shard, queue, left, now, grace, woken)
  end
else
  redis.call('ZREM', shard .. ':bell', queue)
  if left > 0 then
    ring(shard, queue, left, now, grace, woken)
  end
end
return { woken, time[1] * 1000000 + time[2], epoch, era, clock, lost, before, lease + extra,
  back,
  unpack(rows) }
