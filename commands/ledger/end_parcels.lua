-- End parcels: record the outcomes of the commands that are done. The others become records under the
-- same token and lease, which finish.lua ends.
-- KEYS[1]  the shard's hash tag
-- ARGV     token, grace_ms, handover_most, month, month_kept_s, commands of a scope on the queue (0:
--          no limit), commands released together; then for each parcel: name, outcomes or '', number
--          of commands that are done, what is announced instead of the outcomes or '', use or '',
--          number of order keys, the keys, number of commands that are not done, and for each of
--          these the arguments of unpack.lua
-- Returns  a list of 1 or 0 for each parcel (0: another worker has the lease, and nothing was changed),
--          a list of commands to be woken now, the clock, and the name of its era
local shard, token = KEYS[1], ARGV[1]
local grace, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local window, together = tonumber(ARGV[6]), tonumber(ARGV[7])
-- A script whose first write frees memory is completed even if the server is full.
redis.call('ZREM', shard .. ':pdue', '')
local time, now, real, known = ledger_time(shard)
local accepted, woken, replies, scopes, turns, done = {}, {}, {}, {}, {}, 0
local parcels = {}

local i = 8
while i <= #ARGV do
  local p = { name = ARGV[i], outcomes = ARGV[i + 1], done = tonumber(ARGV[i + 2]),
    instead = ARGV[i + 3], use = ARGV[i + 4], keys = {} }
  local keys = tonumber(ARGV[i + 5])
  for n = 1, keys do
    p.keys[n] = ARGV[i + 5 + n]
  end
  i = i + 6 + keys
  p.rows, p.first = tonumber(ARGV[i]), i + 1
  i = i + 1 + p.rows * ROW
  parcels[#parcels + 1] = p
end
local clock = redis.call('INCRBY', shard .. ':clock', #parcels) - #parcels
local _, era = enter_era(shard, known, time, clock)

for n, its in ipairs(parcels) do
  local p = read_parcel(redis.call('HGET', shard .. ':par', its.name))
  if p and p.state == 'r' and p.token == token then
    if its.done > 0 then
      redis.call('SET', shard .. ':o:' .. its.name,
        string.format('%.0f', clock + n) .. ' ' .. its.outcomes, 'PX', math.max(1, p.ret))
    end
    for _, list in ipairs(open_up(shard, its.name, p, its.keys, its.first, its.rows, p.till)) do
      turns[#turns + 1] = list
    end
    if its.use ~= '' then
      count_use(its.use)
    end
    if its.done > 0 then
      done = done + its.done
      scopes[p.scope] = (scopes[p.scope] or 0) + its.done
    end
    if p.reply ~= '-' and its.done > 0 then
      for channel in string.gmatch(p.reply, '[^,]+') do
        replies[#replies + 1] = { channel, its.instead ~= '' and its.instead or its.outcomes }
      end
    end
    accepted[n] = 1
  elseif not p and redis.call('EXISTS', shard .. ':o:' .. its.name) == 1 then
    accepted[n] = 1 -- a repeated end whose first answer was lost
  else
    accepted[n] = 0
  end
end
keep_uses(shard, ARGV[4], ARGV[5], real)
for _, list in ipairs(turns) do
  hand_over(shard, list, most, now, grace, woken)
end
for scope, by in pairs(scopes) do
  redis.call('HINCRBY', shard .. ':open', string.match(scope, '^[^/]*/[^/]*'), -by)
  redis.call('HINCRBY', shard .. ':open', scope, -by)
  local flying, held = on_queue(shard, scope)
  if held > 0 and flying <= window - together then
    let_go(shard, scope, window - flying, now, grace, woken, '')
  end
end
for _, reply in ipairs(replies) do
  redis.call('PUBLISH', reply[1], reply[2])
end
if done > 0 then
  redis.call('HINCRBY', shard .. ':count', 'done', done)
  redis.call('HINCRBY', shard .. ':count', 'running', -done)
end
return { accepted, woken, clock + #parcels, era }
