-- Read before allow.lua, give_back.lua and pace.lua: the token bucket of a tenant and env, stored as the
-- time at which it will be full again (the generic cell rate algorithm). Times are in microseconds, and
-- `interval` is that of one command.
--
-- It holds the tokens of one second and one more: a command that takes its token up to a second late
-- still finds it, so a rate of r really allows r.
local LATE = 1000000

local function rate_key(shard, tenant_env)
  return shard .. ':rate:' .. tenant_env
end

-- Return when it will be full; after a change of the rate, a larger debt than possible is cut.
local function full_at(shard, tenant_env, interval, now)
  local full = tonumber(redis.call('HGET', rate_key(shard, tenant_env), 'full') or 0)
  return math.min(math.max(full, now), now + interval + LATE)
end

local function tokens_of(full, interval, now)
  return math.max(0, math.floor((now + interval + LATE - full) / interval))
end

local function keep_full(shard, tenant_env, full, now)
  local key = rate_key(shard, tenant_env)
  redis.call('HSET', key, 'full', string.format('%.0f', full))
  redis.call('PEXPIRE', key, math.max(0, math.ceil((full - now) / 1000)) + 1000)
end
