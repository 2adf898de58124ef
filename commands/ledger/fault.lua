-- Documents that are no commands, kept within bounds: `:faults` has their names by time, and
-- `:faultsize` the bytes of each, with those of all under ''.
-- Count a document of so many bytes among them.
local function note_fault(shard, ref, now, bytes)
  -- With what Redis itself needs for a record.
  local size = bytes + 3 * #ref + 500
  local before = tonumber(redis.call('HGET', shard .. ':faultsize', ref) or 0)
  redis.call('ZADD', shard .. ':faults', now, ref)
  redis.call('HSET', shard .. ':faultsize', ref, size)
  redis.call('HINCRBY', shard .. ':faultsize', '', size - before)
end

-- Forget the oldest, as far as they are too old, or there are too many or too large ones; never
-- `newest`. Purged ones, and ones that a command took the name of, only leave the list.
local function drop_faults(shard, now, keep_ms, most, bytes_most, newest)
  local faults, sizes = shard .. ':faults', shard .. ':faultsize'
  local total = tonumber(redis.call('HGET', sizes, '') or 0)
  local dropped = 0
  while true do
    local oldest = redis.call('ZRANGE', faults, 0, 0, 'WITHSCORES')
    local ref = oldest[1]
    if not ref or ref == newest or not (tonumber(oldest[2]) < now - keep_ms
        or total > bytes_most or redis.call('ZCARD', faults) > most) then
      break
    end
    local size = tonumber(redis.call('HGET', sizes, ref) or 0)
    total = total - size
    redis.call('ZREM', faults, ref)
    redis.call('HDEL', sizes, ref)
    redis.call('HINCRBY', sizes, '', -size)
    local record = shard .. ':op:' .. ref
    local known = redis.call('HMGET', record, 'st', 'fp')
    if known[1] == 'dead' and known[2] == '' then
      redis.call('DEL', record)
      redis.call('ZREM', shard .. ':dead', ref)
      dropped = dropped + 1
    end
  end
  if dropped > 0 then
    redis.call('HINCRBY', shard .. ':count', 'dropped', dropped)
  end
  return dropped
end
