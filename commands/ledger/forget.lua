-- Remove op_ids whose entries refer to nothing any more.
-- KEYS[1]  the shard's hash tag
-- ARGV     tenant/env, then op_id and entry of each, as they were read
-- Returns  how many were removed
local shard, ids = KEYS[1], KEYS[1] .. ':ids:' .. ARGV[1]
local known, old = {}, {}
for i = 2, #ARGV, 2 do
  if not leads(shard, ARGV[i + 1], known) and redis.call('HGET', ids, ARGV[i]) == ARGV[i + 1] then
    old[#old + 1] = ARGV[i]
  end
end
if #old > 0 then
  redis.call('HDEL', ids, unpack(old))
end
return #old
