-- Read before claim.lua and finish.lua, after era.lua: the era in which they run.

-- Begin a new era if another server process serves the ledger. `clock` is its value before the caller
-- counted, which is the end of the previous era. This precedes any count, so that a worker which has
-- seen more than this ledger has can detect it. `era` is what ledger_time has read.
-- Returns the epoch, the era's name, the last number before it, and what the ledger lost or ''.
local function enter_era(shard, era, time, clock)
  local server, name, epoch = this_server(), era[2], era[3] or ''
  local seq, lost = tonumber(era[4] or 0), era[5] or ''
  if era[1] ~= server then
    if name then
      redis.call('HSET', shard .. ':eras', name, clock)
    end
    name, seq = begin_era(shard, server, time, epoch)
  end
  return epoch, name, seq, lost
end

-- Return whether the ledger lacks entries that a worker has seen, by the worker's epoch, era and clock.
local function lacks(shard, epoch, name, clock, seen_epoch, seen_name, seen_clock)
  if seen_name == '' then
    return false
  end
  if seen_epoch ~= epoch then
    return seen_epoch > epoch -- a later one is a history that an operator declared right
  end
  if seen_name == name then
    return seen_clock > clock
  end
  local ended = redis.call('HGET', shard .. ':eras', seen_name)
  return not ended or seen_clock > tonumber(ended)
end

-- Record and return what the worker found missing.
local function note_lost(shard, clock, seen_name, seen_clock, worker)
  local lost = 'worker ' .. worker .. ' has seen ' .. string.format('%.0f', seen_clock)
    .. ' claims and ends by era ' .. seen_name .. ', of which the ledger, at '
    .. string.format('%.0f', clock) .. ', lost some'
  redis.call('HSET', shard .. ':era', 'lost', lost)
  return lost
end
