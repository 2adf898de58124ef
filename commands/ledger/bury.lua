-- Keep what is no command of this release as a dead letter.
-- KEYS[1]  the shard's hash tag
-- ARGV     ref, op, document, outcome
-- Returns  1, or 0 if that name is known already
local shard, ref = KEYS[1], ARGV[1]
local record = shard .. ':op:' .. ref
if redis.call('EXISTS', record) == 1 then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', record, 'st', 'dead', 'fp', '', 'op', ARGV[2], 'ord', '', 'cmd', ARGV[3],
  'seq', 0, 'att', 0, 'acc', now, 'out', ARGV[4])
redis.call('ZADD', shard .. ':dead', now, ref)
redis.call('HINCRBY', shard .. ':count', 'dead', 1)
return 1
