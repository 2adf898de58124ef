-- Decide which commands of a tenant and env may run now, and take their tokens from the bucket.
-- KEYS[1]  the shard's hash tag
-- ARGV     tenant/env, microseconds for each command (0: no limit), the kind/tenant/env whose stored
--          objects and bytes are returned, then two for each command, in accepted order: kind, seq
-- Returns  microseconds until there is a token again, objects, bytes, then one number for each
--          command: 0 if it may run, else its position among the waiting ones of its kind
-- No token is reserved for waiting commands: they stand in a line, from which pace.lua releases them at
-- the rate. A command that was accepted after the first of the line waits too, even if there are tokens.
local shard, tenant_env, interval = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full, tokens, wait = now, 0, 0
local lines, positions = {}, {}
if interval > 0 then
  full = full_at(shard, tenant_env, interval, now)
  tokens = tokens_of(full, interval, now)
end

local function line_of(kind)
  local line = lines[kind]
  if not line then
    local key = shard .. ':line:' .. tenant_env .. '/' .. kind
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    line = { first = first[2] and tonumber(first[2]) or math.huge, waiting = redis.call('ZCARD', key) }
    lines[kind] = line
  end
  return line
end

for i = 4, #ARGV, 2 do
  local answer = 0
  if interval > 0 then
    local line = line_of(ARGV[i])
    if tokens > 0 and tonumber(ARGV[i + 1]) <= line.first then
      tokens = tokens - 1
      full = full + interval
    else
      line.waiting = line.waiting + 1
      answer = line.waiting
    end
  end
  positions[#positions + 1] = answer
end
if interval > 0 then
  keep_full(shard, tenant_env, full, now)
  wait = math.max(0, full - LATE - now)
end
local use = redis.call('HMGET', shard .. ':use:' .. ARGV[3], 'objects', 'bytes')
return { wait, tonumber(use[1] or 0), tonumber(use[2] or 0), unpack(positions) }
