-- Read before allow.lua, give_back.lua and pace.lua: the token bucket of a tenant and env, kept as
-- the time at which it would be full again (the generic cell rate algorithm). Times are
-- microseconds, `interval` is that of a command.
--
-- It holds a second's worth and one command more: what comes for its token up to a second late
-- then still finds it, and a rate of r gives r.
local LATE = 1000000

local function rate_key(shard, tenant_env)
  return shard .. ':rate:' .. tenant_env
end

-- When it would be full; a bucket of another rate keeps no debt that this one cannot have.
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
