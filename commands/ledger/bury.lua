-- Keep what is no command of this release as a dead letter, as long as there is room.
-- KEYS[1]  the shard's hash tag
-- ARGV     the room that such have (see fault.lua), then, unless it is only to tidy: ref, op,
--          document, outcome
-- Returns  1, 0 if the same is kept already, or -1 if the name is that of something else
local shard, ref, document = KEYS[1], ARGV[2] or '', ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local record = shard .. ':op:' .. ref
if ref ~= '' then
  local known = redis.call('HMGET', record, 'st', 'fp', 'cmd')
  if known[1] and (known[2] ~= '' or known[3] ~= document) then
    return -1
  end
  if known[1] then
    redis.call('HINCRBY', shard .. ':count', 'again', 1)
    return 0
  end
  redis.call('HSET', record, 'st', 'dead', 'fp', '', 'op', ARGV[3], 'ord', '', 'cmd', document,
    'seq', 0, 'att', 0, 'acc', now, 'out', ARGV[5])
  redis.call('ZADD', shard .. ':dead', now, ref)
  redis.call('HINCRBY', shard .. ':count', 'dead', 1)
  note_fault(shard, ref, now, #document + #ARGV[5])
end
drop_faults(shard, now, ARGV[1], ref)
return 1
