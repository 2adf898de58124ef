-- Read before end_parcels.lua and late.lua: commands leave their parcel, and the parcel is removed.

local ROW = 7 -- position, ref, fingerprint, op, name of its order or '', command, extra lease_ms

-- Release the parcel's keys, and make records of the `rows` (of a call's ARGV, from `first` on) that run
-- under its token. Each takes the parcel's position on its key, before all later commands.
-- Returns the lists that have another first entry now, which may have to be woken.
local function open_up(shard, name, p, keys, first, rows, due)
  local tenant_env = string.match(p.scope, '^[^/]*/[^/]*')
  local ids, dues, heads, order = {}, {}, {}, {}
  for at = first, first + (rows - 1) * ROW, ROW do
    local began = string.format('%.0f', p.clock + ARGV[at] + 1)
    local ref, order = ARGV[at + 1], ARGV[at + 4]
    local key = string.sub(order, #tenant_env + 2)
    redis.call('HSET', shard .. ':op:' .. ref, 'st', 'running', 'fp', ARGV[at + 2],
      'op', ARGV[at + 3], 'q', p.queue, 'ord', order, 'cmd', ARGV[at + 5], 'ret', p.ret,
      'rep', p.reply == '-' and '' or p.reply, 'xl', ARGV[at + 6],
      'seq', string.format('%.0f', tonumber(name) + ARGV[at]), 'att', 1, 'acc', p.acc,
      'tok', p.token, 'until', string.format('%.0f', p.till), 'by', p.by, 'beg', began, 'w', 0,
      'nb', 0)
    ids[#ids + 1] = string.sub(ref, #tenant_env + 2)
    dues[#dues + 1], dues[#dues + 2] = due, ref
    if key ~= '' then
      heads[key] = heads[key] or {}
      table.insert(heads[key], ref)
    end
  end
  local lists, turns = {}, {}
  for n, key in ipairs(keys) do
    lists[n] = shard .. ':ord:' .. tenant_env .. '/' .. key
  end
  -- Usually no later command has one of its keys.
  local behind = #lists > 0 and redis.call('EXISTS', unpack(lists)) > 0
  for n, key in ipairs(keys) do
    if behind and redis.call('LINDEX', lists[n], 0) == '' then
      redis.call('LPOP', lists[n])
      if not heads[key] then
        turns[#turns + 1] = lists[n]
      end
    end
    local its = heads[key] or {}
    for at = #its, 1, -1 do
      redis.call('LPUSH', lists[n], its[at])
    end
  end
  if #ids > 0 then
    redis.call('HDEL', shard .. ':ids:' .. tenant_env, unpack(ids))
    redis.call('ZADD', shard .. ':due', unpack(dues))
  end
  if #keys > 0 then
    redis.call('HDEL', shard .. ':keys:' .. tenant_env, unpack(keys))
  end
  redis.call('DEL', shard .. ':c:' .. name)
  redis.call('HDEL', shard .. ':par', name)
  redis.call('ZREM', shard .. ':pdue', name)
  return turns
end
