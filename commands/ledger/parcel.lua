-- Read before the scripts that use parcels: commands of one scope that are submitted, taken and ended
-- together. docs/ledger.md describes parcels and records.
--
-- :par              hash    name -> state and more, in the order of write_parcel; open parcels only.
--                           State: h (held), q (ready), r (taken); till: end of its lease (ms);
--                           size: number of submitted commands, kept: of those accepted in it;
--                           clock: the clock before the first of them began
-- :c:<name>         string  the commands, as parcel.py seals them
-- :o:<name>         string  clock of its end, a space, and the outcomes of those that were done in it
-- :ids:<tenant/env>      hash    op_id -> name.position:fingerprint (16 bytes); an entry that refers to no
--                           open parcel and to no outcomes is ignored
-- :keys:<tenant/env>     hash    order key -> name of the open parcel that has it
-- :rdy:<queue>      list    names of ready parcels
-- :pdue             zset    names of taken parcels, by the end of their lease
-- :took:<token>     string  names that a take returned, for as long as its lease
-- :bell             zset    queues for which a message was sent or a worker is active, by the time until
--                           which a worker is expected
-- :open             hash    also `r/<queue>`: number of ready commands; `g/<queue>`: until when help is
--                           expected that was rung for
--
-- The name is the number of the first command; the command at position p has number and mark
-- name + p. The positions in `skip` were left out when it was submitted.
local PARCEL = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$'
local HELP = 150 -- so many ready commands are more than one drain's work

local function read_parcel(text)
  if not text then
    return nil
  end
  local state, till, token, size, kept, ret, xl, acc, queue, scope, reply, skip, clock, by =
    string.match(text, PARCEL)
  return {
    state = state, till = tonumber(till), token = token, size = tonumber(size),
    kept = tonumber(kept), ret = ret, xl = tonumber(xl), acc = acc, queue = queue, scope = scope,
    reply = reply, skip = skip, clock = clock, by = by,
  }
end

local function write_parcel(p)
  return table.concat({ p.state, string.format('%.0f', p.till), p.token, p.size, p.kept, p.ret, p.xl,
    p.acc, p.queue, p.scope, p.reply, p.skip, p.clock, p.by }, ' ')
end

local function keep_parcel(shard, name, p)
  redis.call('HSET', shard .. ':par', name, write_parcel(p))
end

-- Return whether an entry of :ids: refers to an open parcel or to outcomes; `known` caches names.
local function leads(shard, entry, known)
  local name = string.match(entry, '^%d+')
  if known[name] == nil then
    known[name] = redis.call('HEXISTS', shard .. ':par', name) == 1
      or redis.call('EXISTS', shard .. ':o:' .. name) == 1
  end
  return known[name]
end

-- Ring for a worker for the ready parcels, unless one is expected or active. If the broker is this server,
-- `messages` has a message for each queue, which is pushed at once. Otherwise the message to be sent is
-- appended to `woken` like that of a command: the shard, an op, the queue.
local function ring(shard, queue, ready, now, grace, woken, messages)
  local believed = tonumber(redis.call('ZSCORE', shard .. ':bell', queue) or 0)
  if believed <= now then
    redis.call('ZADD', shard .. ':bell', now + grace, queue)
  else
    local help = 'g/' .. queue
    if ready < HELP or tonumber(redis.call('HGET', shard .. ':open', help) or 0) > now then
      return
    end
    redis.call('HSET', shard .. ':open', help, now + grace)
  end
  if messages and messages[queue] then
    redis.call('LPUSH', queue, messages[queue])
    messages[queue] = nil
    return
  end
  local n = #woken
  woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = shard, 'commands.drain', queue, ''
end

-- Add a parcel to the ready ones.
local function make_ready(shard, name, p, now, grace, woken, messages)
  p.state = 'q'
  keep_parcel(shard, name, p)
  redis.call('RPUSH', shard .. ':rdy:' .. p.queue, name)
  local ready = redis.call('HINCRBY', shard .. ':open', 'r/' .. p.queue, p.kept)
  ring(shard, p.queue, ready, now, grace, woken, messages)
end
