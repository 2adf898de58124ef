-- How many commands of a tenant and env may run now: a token bucket, kept as the time at which
-- it would be full again (the generic cell rate algorithm).
-- KEYS[1]  the shard's hash tag
-- ARGV     tenant/env, microseconds a command (0: no limit), burst, commands asked for,
--          kind/tenant/env whose stored objects and bytes are wanted
-- Returns  commands granted, microseconds until the first of the others may run, objects, bytes
-- The others are given a turn each, one interval apart, so that they do not all come back at once.
local shard, place = KEYS[1], ARGV[1]
local interval, burst, asked = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local granted, wait = asked, 0
if interval > 0 then
  local key = shard .. ':rate:' .. place
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local b = redis.call('HMGET', key, 'full', 'turn')
  local full = math.max(tonumber(b[1] or 0), now)
  granted = math.min(asked, math.max(0, math.floor((now + burst * interval - full) / interval)))
  full = full + granted * interval
  local turn = 0
  if granted < asked then
    turn = math.max(tonumber(b[2] or 0), full - burst * interval) + interval
    wait = math.max(interval, turn - now)
    turn = turn + (asked - granted - 1) * interval
  else
    turn = tonumber(b[2] or 0)
  end
  redis.call('HSET', key, 'full', string.format('%.0f', full), 'turn', string.format('%.0f', turn))
  redis.call('PEXPIRE', key, math.ceil((math.max(full, turn) - now) / 1000) + 1000)
end
local use = redis.call('HMGET', shard .. ':use:' .. ARGV[5], 'objects', 'bytes')
return { granted, wait, tonumber(use[1] or 0), tonumber(use[2] or 0) }
