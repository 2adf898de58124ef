-- Read before submit.lua and replay.lua: the number of the next acceptance.
--
-- The time in microseconds, or the next number of the shard, whichever is higher. So a ledger that
-- was restored, promoted or begun anew does not count below what backends hold as the newest,
-- and a clock that steps back does not either.
local function next_seq(shard, time)
  local last = tonumber(redis.call('GET', shard .. ':seq') or 0)
  return math.max(last, time[1] * 1000000 + time[2]) + 1
end
