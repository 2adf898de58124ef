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
local turns = open_up(shard, name, p, keys, 5 + count, tonumber(ARGV[4 + count]), now)
-- Ordinarily each key has a record of the parcel at its head now. What nobody can read has no key any
-- more, and nobody ends who would wake what was behind it: it is due at once.
for _, list in ipairs(turns) do
  hand_over(shard, list, 1, now, 0, {})
end
return 1
