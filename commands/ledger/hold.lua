-- Read before the scripts that give due times: lets commands go that wait for their scope's turn.
--
-- Of a scope at most `window` commands are on the queue, however many are open: so no backlog
-- stands there before the commands of others. Those behind it are held here, in accepted order.
local FAR = 9e15 -- the due time of what is held: nobody looks at it
-- What waits behind another is woken by the hand-over. It is looked at all the same, but so rarely
-- that thousands behind a hot key are not in the way of what nobody else would wake.
local LOOK_MS = 600000

local function scope_of(ref, op)
  return string.match(ref, '^[^/]*/[^/]*') .. '/' .. string.match(op, '^[^.]*')
end

-- Of a scope's open commands all that are not held are on the queue, or were taken from it.
local function on_queue(shard, scope)
  local open = tonumber(redis.call('HGET', shard .. ':open', scope) or 0)
  local held = redis.call('LLEN', shard .. ':hold:' .. scope)
  return open - held, held
end

-- Give the oldest `most` to the queue: ref, op, queue, and what `sign` is, of each, into `woken`.
local function let_go(shard, scope, most, now, grace, woken, sign)
  local list, dues = shard .. ':hold:' .. scope, {}
  for _, entry in ipairs(redis.call('LRANGE', list, 0, most - 1)) do
    local op, queue, ref = string.match(entry, '^(%S+) (%S+) (.*)$')
    dues[#dues + 1], dues[#dues + 2] = now + grace, ref
    local n = #woken
    woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = ref, op, queue, sign
  end
  for at = 1, #dues, 2000 do
    -- XX: one that came to its end all the same is no longer there.
    redis.call('ZADD', shard .. ':due', 'XX', unpack(dues, at, math.min(at + 1999, #dues)))
  end
  redis.call('LTRIM', list, most, -1)
  if redis.call('LLEN', list) == 0 then
    redis.call('ZREM', shard .. ':holds', scope)
  else
    redis.call('ZADD', shard .. ':holds', now, scope)
  end
end
