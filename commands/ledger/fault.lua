-- Messages without valid commands, stored within limits, so that nobody can fill the ledger with them:
--   :faults        zset  those of strangers by time: tenants of which no command has ever run
--   :faults:known  zset  those of other tenants by time
--   :faultsize     hash  bytes of each letter, of each source (tenant/env) and of all (''), and the
--                        number of letters of each source (tenant/env#)
-- A source has at most a quarter of the shard's room. If the room is full, the oldest letters of strangers
-- are dropped first, however many tenants they invent.
local SHARE, KINDS = 4, { 'object_store', 'tabular_store', 'metrics_store', 'event_stream' }

local function source_of(ref)
  return string.match(ref, '^[^/]*/[^/]*') or ref
end

local function is_known(shard, source)
  for _, kind in ipairs(KINDS) do
    if redis.call('HEXISTS', shard .. ':use:' .. kind .. '/' .. source, 'ok_at') == 1 then
      return true
    end
  end
  return false
end

-- Add to a number of `:faultsize`; remove it at zero.
local function add_fault(shard, name, by)
  local left = redis.call('HINCRBY', shard .. ':faultsize', name, by)
  if left <= 0 and name ~= '' then
    redis.call('HDEL', shard .. ':faultsize', name)
  end
  return left
end

-- Subtract a document from the counts.
local function unlist_fault(shard, list, ref)
  local sizes, source = shard .. ':faultsize', source_of(ref)
  local size = tonumber(redis.call('HGET', sizes, ref) or 0)
  redis.call('ZREM', list, ref)
  redis.call('HDEL', sizes, ref)
  add_fault(shard, '', -size)
  add_fault(shard, source, -size)
  add_fault(shard, source .. '#', -1)
end

-- Subtract a document and remove it, unless it was purged or a command has its name now.
local function forget_fault(shard, list, ref)
  unlist_fault(shard, list, ref)
  local record = shard .. ':op:' .. ref
  local known = redis.call('HMGET', record, 'st', 'fp')
  if known[1] == 'dead' and known[2] == '' then
    redis.call('DEL', record)
    redis.call('ZREM', shard .. ':dead', ref)
    return 1
  end
  return 0
end

-- Add a new document of so many bytes to the counts.
local function note_fault(shard, ref, now, bytes)
  -- Including what Redis itself needs for a record and the names of its source.
  local size, source = bytes + 3 * #ref + 900, source_of(ref)
  local list = is_known(shard, source) and shard .. ':faults:known' or shard .. ':faults'
  for _, other in ipairs({ shard .. ':faults', shard .. ':faults:known' }) do
    if redis.call('ZSCORE', other, ref) then
      unlist_fault(shard, other, ref) -- it was purged, and its name comes again
    end
  end
  redis.call('ZADD', list, now, ref)
  redis.call('HSET', shard .. ':faultsize', ref, size)
  add_fault(shard, '', size)
  add_fault(shard, source, size)
  add_fault(shard, source .. '#', 1)
end

-- Remove the oldest letters while they are too old, their source exceeds its share, or all are too many
-- or too large; never `newest`. `room` has the maximum age, number and bytes, separated by spaces.
local function drop_faults(shard, now, room, newest)
  local keep, most, bytes = string.match(room, '^(%d+) (%d+) (%d+)$')
  keep, most, bytes = tonumber(keep), tonumber(most), tonumber(bytes)
  local lists, sizes = { shard .. ':faults', shard .. ':faults:known' }, shard .. ':faultsize'
  local dropped = { old = 0, share = 0, room = 0 }

  local function over(name, count, share)
    return tonumber(redis.call('HGET', sizes, name) or 0) > bytes / share or count > most / share
  end

  for _, list in ipairs(lists) do
    local oldest = redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')
    while oldest[1] and oldest[1] ~= newest and tonumber(oldest[2]) < now - keep do
      dropped.old = dropped.old + forget_fault(shard, list, oldest[1])
      oldest = redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')
    end
  end
  local source = newest ~= '' and source_of(newest)
  local function crowds()
    return source and over(source, tonumber(redis.call('HGET', sizes, source .. '#') or 0), SHARE)
  end
  for _, list in ipairs(lists) do
    for _, ref in ipairs(crowds() and redis.call('ZRANGE', list, 0, -1) or {}) do
      if not crowds() then
        break
      end
      if ref ~= newest and source_of(ref) == source then
        dropped.share = dropped.share + forget_fault(shard, list, ref)
      end
    end
  end
  for _, list in ipairs(lists) do
    while over('', redis.call('ZCARD', lists[1]) + redis.call('ZCARD', lists[2]), 1) do
      local oldest = redis.call('ZRANGE', list, 0, 1)
      local ref = oldest[1] == newest and oldest[2] or oldest[1]
      if not ref then
        break
      end
      dropped.room = dropped.room + forget_fault(shard, list, ref)
    end
  end
  for reason, count in pairs(dropped) do
    if count > 0 then
      redis.call('HINCRBY', shard .. ':count', 'dropped', count)
      redis.call('HINCRBY', shard .. ':count', 'dropped_' .. reason, count)
    end
  end
end
