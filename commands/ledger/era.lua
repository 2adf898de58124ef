-- Read before submit.lua, claim.lua, finish.lua and rebase.lua: eras, and what a ledger lost.
--
-- An era is what one server process holds of one history. Another process than the shard has noted
-- (started again, restored, promoted) begins a new one. What was accepted before may have been
-- executed in a history that this ledger lost, so it runs as a takeover.
--
-- :era   hash  server (its run_id), name, epoch (of the last rebase), seq (the last number before
--              it), lost (what a worker found missing; then nothing runs before a rebase)
-- :eras  hash  earlier eras of this epoch: name -> clock at its end

local function this_server()
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'table' then
    -- fakeredis has no INFO, and no process that could start again.
    if string.find(tostring(info.err), 'unknown command') then
      return 'fakeredis'
    end
    return error(tostring(info.err))
  end
  -- Found as plain text: a pattern would be tried at each character, which takes twice INFO's time.
  local _, at = string.find(info, 'run_id:', 1, true)
  if not at then
    error('the state server does not tell its run_id (INFO server)')
  end
  return string.match(info, '^%w+', at + 1)
end

local function begin_era(shard, server, time, epoch)
  local seq = redis.call('GET', shard .. ':seq') or '0'
  -- No other era has it, not even one in a history that was lost.
  local name = string.format('%.0f', time[1] * 1000000 + time[2]) .. '-' .. string.sub(server, 1, 12)
  redis.call('HSET', shard .. ':era', 'server', server, 'name', name, 'epoch', epoch, 'seq', seq)
  return name, tonumber(seq)
end
