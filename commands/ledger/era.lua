-- Read before submit.lua, claim.lua, finish.lua and rebase.lua: eras, and lost entries of a ledger.
--
-- An era is the time in which one server process serves one copy of the ledger. Another process than the
-- recorded one (after a restart, restore or promotion) begins a new era. Commands accepted before may
-- have run in a copy that was lost, so they run as takeovers.
--
-- :era   hash  server (its run_id), name, epoch (of the last rebase), seq (the last number of the
--              previous era), lost (what a worker found missing; nothing runs until a rebase then)
-- :eras  hash  earlier eras of this epoch, name -> clock at its end

local function this_server()
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'table' then
    -- fakeredis has no INFO, and no process that could be restarted.
    if string.find(tostring(info.err), 'unknown command') then
      return 'fakeredis'
    end
    return error(tostring(info.err))
  end
  -- A plain search: a pattern would be tried at each character, which takes twice the time of INFO.
  local _, at = string.find(info, 'run_id:', 1, true)
  if not at then
    error('the state server does not tell its run_id (INFO server)')
  end
  return string.match(info, '^%w+', at + 1)
end

local function begin_era(shard, server, time, epoch)
  local seq = redis.call('GET', shard .. ':seq') or '0'
  -- No other era has this name, not even one in a copy that was lost.
  local name = string.format('%.0f', time[1] * 1000000 + time[2]) .. '-' .. string.sub(server, 1, 12)
  redis.call('HSET', shard .. ':era', 'server', server, 'name', name, 'epoch', epoch, 'seq', seq)
  return name, tonumber(seq)
end
