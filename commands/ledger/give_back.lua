-- Give back the tokens of commands that did not run after all.
-- KEYS[1]  the shard's hash tag
-- ARGV     tenant/env, microseconds for each command, number of commands
local shard, tenant_env, interval = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = full_at(shard, tenant_env, interval, now) - tonumber(ARGV[3]) * interval
keep_full(shard, tenant_env, math.max(full, now), now)
return 1
