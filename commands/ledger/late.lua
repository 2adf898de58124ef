-- Open a parcel whose lease has expired: its commands become records, as if a dead worker had claimed them.
-- KEYS[1]  the shard's hash tag
-- ARGV     name, :par as it was read, number of order keys, the keys, number of commands, and for each
--          command the arguments of unpack.lua
-- Returns  1, or 0 if the parcel has changed since, or its lease has not expired
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
local turns = open_up(shard, name, p, keys, 5 + count, tonumber(ARGV[4 + count]), now)
-- Usually a record of the parcel is now the first of each key. An unreadable parcel has no keys any more,
-- so nothing would wake the commands that waited behind it: they are due at once.
for _, list in ipairs(turns) do
  hand_over(shard, list, 1, now, 0, {})
end
return 1
