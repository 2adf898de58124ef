-- Open a parcel whose lease has run out: its commands become records of a dead worker's claim.
-- KEYS[1]  the shard's hash tag
-- ARGV     name, :par as it was read, number of order keys, the keys, number of commands, and of each
--          what unpack.lua says
-- Returns  1, or 0 if the parcel is not as it was read, or its lease is not over
local shard, name = KEYS[1], ARGV[1]
local _, now = ledger_time(shard)
local text = redis.call('HGET', shard .. ':par', name)
local p = read_parcel(text)
if text ~= ARGV[2] or p.state ~= 'r' or p.till > now then
  return 0
end
local keys = {}
local count = tonumber(ARGV[3])
for n = 1, count do
  keys[n] = ARGV[3 + n]
end
-- Nothing stands behind it that could be next: each key has a record of it at its head now.
open_up(shard, name, p, keys, 5 + count, tonumber(ARGV[4 + count]), now)
return 1
