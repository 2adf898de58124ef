-- Read before the scripts that set due times: holds commands beyond a scope's window, and releases them.
--
-- About `window` commands of a scope are on the queue, however many are open, so that no backlog delays
-- the commands of others. The further ones are held here, in accepted order.
--
-- :hold:<scope>  list  held entries: `<op> <queue> <ref>` of a command, or of a parcel
--                      `= <commands> <queue> <name>`
-- :open          hash  `h/<scope>`: number of held commands
local FAR = 9e15 -- the due time of what is held: nobody looks at it
-- Commands that wait behind another are woken by the hand-over. They are due too, but so rarely that
-- thousands of them behind a hot key do not delay those that nothing else would wake.
local LOOK_MS = 600000

local function scope_of(ref, op)
  return string.match(ref, '^[^/]*/[^/]*') .. '/' .. string.match(op, '^[^.]*')
end

-- All open commands of a scope that are not held are on the queue or were taken from it.
local function on_queue(shard, scope)
  local known = redis.call('HMGET', shard .. ':open', scope, 'h/' .. scope)
  -- A ledger of an older release has no such count and no parcels.
  local held = tonumber(known[2]) or redis.call('LLEN', shard .. ':hold:' .. scope)
  return tonumber(known[1] or 0) - held, held
end

-- Hold these entries, which are so many commands, after the `held` ones.
local function hold(shard, scope, held, entries, commands, now)
  for at = 1, #entries, 2000 do
    redis.call('RPUSH', shard .. ':hold:' .. scope,
      unpack(entries, at, math.min(at + 1999, #entries)))
  end
  redis.call('HSET', shard .. ':open', 'h/' .. scope, held + commands)
  redis.call('ZADD', shard .. ':holds', 'NX', now, scope)
end

-- Release the oldest `most` commands: append ref, op, queue and `sign` of each to `woken`. The last one
-- may be a parcel with more commands than that.
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
    -- XX: a command that has ended meanwhile is no longer there.
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
