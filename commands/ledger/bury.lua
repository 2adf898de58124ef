-- Store a message without a valid command as a dead letter, as long as there is room.
-- KEYS[1]  the shard's hash tag
-- ARGV     the room for such letters (see fault.lua), then ref, op, document and outcome; without
--          these, only old letters are removed
-- Returns  1, 0 if the same letter is stored already, or -1 if the name belongs to something else
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
