-- Accept the current state of a shard's ledger: begin a new era in a later epoch.
-- KEYS[1]  the shard's hash tag
-- ARGV     epoch: later ones are greater
-- Returns  1, or 0 if that epoch had begun before
local shard, epoch = KEYS[1], ARGV[1]
local known = redis.call('HGET', shard .. ':era', 'epoch')
if known and known >= epoch then
  return 0
end
redis.call('HDEL', shard .. ':era', 'lost')
redis.call('DEL', shard .. ':eras')
begin_era(shard, this_server(), redis.call('TIME'), epoch)
return 1
