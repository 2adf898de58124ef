-- Read before submit.lua, finish.lua and purge.lua: remembers writes that came without our client for longer.
--
-- A broker may deliver their message again long after the outcome was removed, which would undo what was
-- written since. So op_id and content of each write are remembered for the configured time or up to twice
-- as long, as 12 bytes of a digest in many small hashes: 20 to 75 bytes for each command.
--
-- :met:<period>:<three hex digits>  hash  digest -> ''
local function stranger(shard, ref, fingerprint, period)
  local text = ref .. ' ' .. fingerprint
  if not redis.sha1hex then
    -- fakeredis, in tests of services, has no digest: the text itself is used there.
    return string.format('%s:met:%.0f', shard, period), text
  end
  local digest = redis.sha1hex(text)
  local field = string.gsub(string.sub(digest, 4, 27), '%x%x', function(pair)
    return string.char(tonumber(pair, 16))
  end)
  return string.format('%s:met:%.0f:%s', shard, period, string.sub(digest, 1, 3)), field
end

local function met(shard, ref, fingerprint, real, memory)
  for period = math.floor(real / memory) - 1, math.floor(real / memory) do
    local key, field = stranger(shard, ref, fingerprint, period)
    if redis.call('HEXISTS', key, field) == 1 then
      return true
    end
  end
  return false
end

local function remember(shard, ref, fingerprint, real, memory)
  local period = math.floor(real / memory)
  local key, field = stranger(shard, ref, fingerprint, period)
  redis.call('HSET', key, field, '')
  redis.call('PEXPIREAT', key, string.format('%.0f', (period + 2) * memory))
end

-- The same for the argument of submit.lua: a time, and possibly the digest of a signed message. The
-- digest is remembered until the message is useless, even if the command is purged and submitted anew.
local function met_before(shard, ref, fingerprint, real, given)
  if given == '0' then
    return false
  end
  local memory, message = string.match(given, '^(%d+):?(.*)$')
  return met(shard, ref, fingerprint, real, tonumber(memory))
    or (message ~= '' and met(shard, ref, message, real, tonumber(memory)))
end

local function remember_both(shard, ref, fingerprint, real, given)
  if given == '0' then
    return
  end
  local memory, message = string.match(given, '^(%d+):?(.*)$')
  remember(shard, ref, fingerprint, real, tonumber(memory))
  if message ~= '' then
    remember(shard, ref, message, real, tonumber(memory))
  end
end

local function forget(shard, ref, fingerprint, real, memory)
  for period = math.floor(real / memory) - 1, math.floor(real / memory) do
    local key, field = stranger(shard, ref, fingerprint, period)
    redis.call('HDEL', key, field)
  end
end

-- Forget a command that was refused, and the signed message in which it came ('': none). It has not
-- run, so it runs if it is sent again and nothing is wrong with it any more.
local function forget_both(shard, ref, fingerprint, real, memory, message)
  if memory > 0 then
    forget(shard, ref, fingerprint, real, memory)
    if message ~= '' then
      forget(shard, ref, message, real, memory)
    end
  end
end
