-- Remove dead letters for good.
-- KEYS[1]  the shard's hash tag
-- ARGV     the refs
-- Returns  1 a ref that was a dead letter, else 0
local shard = KEYS[1]
local answers, purged = {}, 0
for i = 1, #ARGV do
  local record = shard .. ':op:' .. ARGV[i]
  local dead = redis.call('HGET', record, 'st') == 'dead'
  if dead then
    redis.call('DEL', record)
    redis.call('ZREM', shard .. ':dead', ARGV[i])
    purged = purged + 1
  end
  answers[i] = dead and 1 or 0
end
if purged > 0 then
  redis.call('HINCRBY', shard .. ':count', 'purged', purged)
end
return answers
