-- Read before submit.lua and replay.lua: the number of the next acceptance.
--
-- It is the time in microseconds or the next number of the shard, whichever is higher. So a ledger that
-- was restored, promoted or emptied, or whose clock was set back, does not count below the numbers that
-- backends have stored.
local function next_seq(shard, time)
  local last = tonumber(redis.call('GET', shard .. ':seq') or 0)
  return math.max(last, time[1] * 1000000 + time[2]) + 1
end
