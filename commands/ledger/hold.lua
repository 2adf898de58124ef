-- Read before the scripts that give due times: lets commands go that wait for their scope's turn.
--
-- Of a scope about `window` commands are on the queue, however many are open: so no backlog
-- stands there before the commands of others. Those behind it are held here, in accepted order.
--
-- :hold:<scope>  list  what is held: `<op> <queue> <ref>` of a command, or of a parcel
--                      `= <commands> <queue> <name>`
-- :open          hash  `h/<scope>`: how many commands these are
local FAR = 9e15 -- the due time of what is held: nobody looks at it
-- What waits behind another is woken by the hand-over. It is looked at all the same, but so rarely
-- that thousands behind a hot key are not in the way of what nobody else would wake.
local LOOK_MS = 600000

local function scope_of(ref, op)
  return string.match(ref, '^[^/]*/[^/]*') .. '/' .. string.match(op, '^[^.]*')
end

-- Of a scope's open commands all that are not held are on the queue, or were taken from it.
local function on_queue(shard, scope)
  local known = redis.call('HMGET', shard .. ':open', scope, 'h/' .. scope)
  -- A ledger of before has no such count, and no parcels.
  local held = tonumber(known[2]) or redis.call('LLEN', shard .. ':hold:' .. scope)
  return tonumber(known[1] or 0) - held, held
end

-- Hold these entries, of so many commands, behind the `held` ones.
local function hold(shard, scope, held, entries, commands, now)
  for at = 1, #entries, 2000 do
    redis.call('RPUSH', shard .. ':hold:' .. scope,
      unpack(entries, at, math.min(at + 1999, #entries)))
  end
  redis.call('HSET', shard .. ':open', 'h/' .. scope, held + commands)
  redis.call('ZADD', shard .. ':holds', 'NX', now, scope)
end

-- Give the oldest `most` to the queue: ref, op, queue, and what `sign` is, of each, into `woken`.
-- The last of them may be a parcel of which not all commands were meant.
local function let_go(shard, scope, most, now, grace, woken, sign)
  local list, dues, left, entries = shard .. ':hold:' .. scope, {}, most, 0
  local _, held = on_queue(shard, scope)
  for _, entry in ipairs(redis.call('LRANGE', list, 0, most - 1)) do
    if left <= 0 then
      break
    end
    entries = entries + 1
    local size, name = string.match(entry, '^= (%d+) %S+ (%d+)$')
    if size then
      left = left - tonumber(size)
      local p = read_parcel(redis.call('HGET', shard .. ':par', name))
      if p and p.state == 'h' then
        make_ready(shard, name, p, now, grace, woken)
      end
    else
      local op, queue, ref = string.match(entry, '^(%S+) (%S+) (.*)$')
      left = left - 1
      dues[#dues + 1], dues[#dues + 2] = now + grace, ref
      local n = #woken
      woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = ref, op, queue, sign
    end
  end
  for at = 1, #dues, 2000 do
    -- XX: one that came to its end all the same is no longer there.
    redis.call('ZADD', shard .. ':due', 'XX', unpack(dues, at, math.min(at + 1999, #dues)))
  end
  redis.call('LTRIM', list, entries, -1)
  if redis.call('LLEN', list) == 0 then
    redis.call('ZREM', shard .. ':holds', scope)
    held = most - left
  else
    redis.call('ZADD', shard .. ':holds', now, scope)
  end
  redis.call('HSET', shard .. ':open', 'h/' .. scope, held - (most - left))
end
