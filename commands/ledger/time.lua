-- Read before the scripts that set or compare due times and leases: the ledger's time.
--
-- It is the server's time, but does not go back. If the server's clock is set back, or a server with a
-- slower clock takes over, commands that are due by the old clock would wait for the difference. So the
-- ledger's time is ahead of the server's by this difference from then on.
--
-- :era  hash  at (the server's time in ms, as last recorded), ahead (ms), and the fields of era.lua
local NOTED_MS = 10000 -- so far the clock may step back unseen, which delays by as much at most

-- Returns TIME's answer, the ledger's and the server's time, both in milliseconds, and the fields of the
-- era: server, name, epoch, seq, lost.
local function ledger_time(shard)
  local time = redis.call('TIME')
  local real = time[1] * 1000 + math.floor(time[2] / 1000)
  local era = redis.call('HMGET', shard .. ':era',
    'server', 'name', 'epoch', 'seq', 'lost', 'at', 'ahead')
  local at, ahead = tonumber(era[6] or 0), tonumber(era[7] or 0)
  if real < at then
    ahead = ahead + at - real
    redis.call('HSET', shard .. ':era', 'at', real, 'ahead', ahead)
  elseif real - at >= NOTED_MS then
    redis.call('HSET', shard .. ':era', 'at', real)
  end
  return time, real + ahead, real, era
end
