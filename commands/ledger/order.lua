-- Read before the scripts that change the order of a key: the records of its open writes, as accepted.
--
-- :ord:<tenant/env>/<key>  list  their refs. If a parcel with the key preceded all of them, the list begins
--                           with a placeholder, '', for a command that leaves the parcel.

-- Append a record to the open ones of its key.
local function queue_up(shard, tenant_env, key, ref)
  local list = shard .. ':ord:' .. tenant_env .. '/' .. key
  if redis.call('EXISTS', list) == 0
    and redis.call('HEXISTS', shard .. ':keys:' .. tenant_env, key) == 1 then
    redis.call('RPUSH', list, '', ref)
  else
    redis.call('RPUSH', list, ref)
  end
end

-- Wake the first commands of a list that were not returned by a claim, at most `most`.
local function hand_over(shard, list, most, now, grace, woken)
  local due, suspects = now + grace, 0
  for _, ref in ipairs(redis.call('LRANGE', list, 0, most - 1)) do
    local record = shard .. ':op:' .. ref
    local r = redis.call('HMGET', record, 'st', 'w', 'op', 'q', 'nb', 'until', 'crash')
    -- All that a dead worker had claimed comes back at once, not one command after each lease.
    local free = r[1] == 'queued' or (r[1] == 'running' and tonumber(r[6]) <= now)
    -- A command that no claim has left out still has its own message on the way.
    if not free or r[2] ~= '1' or tonumber(r[5] or 0) > now then
      return
    end
    -- Commands that were running when a worker died come back in small groups: see due.lua.
    local deaths = tonumber(r[7] or 0) + (r[1] == 'running' and 1 or 0)
    if deaths > 0 then
      suspects = suspects + 1
      if suspects > 10 then
        return
      end
    end
    redis.call('HSET', record, 'w', 0)
    redis.call('ZADD', shard .. ':due', due, ref)
    local n = #woken
    woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = ref, r[3], r[4], ''
    if deaths > 1 then
      return -- it runs apart from all others, and what is behind it must wait for that
    end
  end
end
