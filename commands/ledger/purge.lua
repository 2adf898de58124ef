-- Remove dead letters permanently.
-- KEYS[1]  the shard's hash tag
-- ARGV     how long writes that came without our client are remembered (ms, 0: not), then the refs
-- Returns  1 for each ref that was a dead letter, else 0
local shard = KEYS[1]
local answers, purged, memory = {}, 0, tonumber(ARGV[1])
local time = redis.call('TIME')
local real = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV do
  local record = shard .. ':op:' .. ARGV[i]
  local r = redis.call('HMGET', record, 'st', 'fp')
  local dead = r[1] == 'dead'
  if dead then
    if memory > 0 then
      forget(shard, ARGV[i], r[2], real, memory) -- sent again it is to run
    end
    redis.call('DEL', record)
    redis.call('ZREM', shard .. ':dead', ARGV[i])
    purged = purged + 1
  end
  answers[i - 1] = dead and 1 or 0
end
if purged > 0 then
  redis.call('HINCRBY', shard .. ':count', 'purged', purged)
end
return answers
