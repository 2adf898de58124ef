-- Read before the scripts that set or compare due times and leases: the ledger's time.
--
-- That of the server, but it does not go back: if the server's clock was set back, or a server
-- with a clock behind took over, what was due by the old clock would wait that much longer. So the
-- ledger's time is ahead by as much from then on.
--
-- :era  hash  at (the server's time, ms, as it was last noted), ahead (ms); and what era.lua says
local NOTED_MS = 10000 -- so far the clock may step back unseen, which delays by as much at most

-- Returns TIME's answer, the ledger's time and the server's, both in milliseconds, and what is
-- known of the era: server, name, epoch, seq, lost.
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
