-- Find due commands: after a lost message, the death of a worker, a retry or a hand-over.
-- KEYS[1]  the shard's hash tag
-- ARGV     maximum number of commands, grace_ms, number of commands of a scope released together, ms
--          after which the held commands of a scope are looked at if none was released
-- Returns  1 if there are more than this call takes, else 0; ref, op, queue and group of each command
--          to be woken (those of a group go into one message), and queues to be rung for (see `ring`);
--          then name, :par and content of each parcel whose lease has expired (for late.lua)
--
-- What a dead worker held is released in small groups, those of a scope one after the other, since one
-- of its commands may have killed it. A group is named after its first command and the time. So the
-- name is unique, even if another message claimed a command before its group was due.
local shard = KEYS[1]
local most, grace = tonumber(ARGV[1]), tonumber(ARGV[2])
local _, now = ledger_time(shard)
local GROUP, GROUP_MS = 10, 100
local SCOPES_MOST, LATE_MOST = 10, 5
local woken, groups = {}, {}

local function wake(ref, record, op, queue, order, group)
  if order ~= '' and redis.call('LINDEX', shard .. ':ord:' .. order, 0) ~= ref then
    redis.call('HSET', record, 'w', 1)
    redis.call('ZADD', shard .. ':due', now + LOOK_MS, ref)
    return
  end
  redis.call('ZADD', shard .. ':due', now + grace, ref)
  local n = #woken
  woken[n + 1], woken[n + 2], woken[n + 3], woken[n + 4] = ref, op, queue, group
end

local due = redis.call('ZRANGEBYSCORE', shard .. ':due', '-inf', now, 'LIMIT', 0, most)
for _, ref in ipairs(due) do
  local record = shard .. ':op:' .. ref
  local r = redis.call('HMGET', record, 'st', 'op', 'q', 'ord', 'sg')
  if r[1] == 'queued' then
    wake(ref, record, r[2], r[3], r[4], '')
  elseif r[1] == 'running' and r[5] and r[5] ~= '' then
    redis.call('HSET', record, 'sg', '')
    wake(ref, record, r[2], r[3], r[4], r[5])
  elseif r[1] == 'running' then
    local scope = scope_of(ref, r[2])
    local its = groups[scope]
    if not its then
      its = { at = now, size = 0, name = now .. '/' .. ref }
      groups[scope] = its
    elseif its.size == GROUP then
      its = { at = its.at + GROUP_MS, size = 0, name = now .. '/' .. ref }
      groups[scope] = its
    end
    its.size = its.size + 1
    if its.at == now then
      wake(ref, record, r[2], r[3], r[4], its.name)
    else
      redis.call('HSET', record, 'sg', its.name)
      redis.call('ZADD', shard .. ':due', its.at, ref)
    end
  else
    redis.call('ZREM', shard .. ':due', ref)
  end
end
-- Held commands are released when others of their scope end. If none has ended for so long, all
-- commands on the queue may wait for something: release a few more.
local scopes = redis.call('ZRANGEBYSCORE', shard .. ':holds', '-inf', now - tonumber(ARGV[4]),
  'LIMIT', 0, SCOPES_MOST)
for _, scope in ipairs(scopes) do
  let_go(shard, scope, tonumber(ARGV[3]), now, grace, woken, '')
end
-- No worker came for ready parcels: the message was lost, or the worker died.
local bells = redis.call('ZRANGEBYSCORE', shard .. ':bell', '-inf', now, 'LIMIT', 0, SCOPES_MOST)
for _, queue in ipairs(bells) do
  local ready = redis.call('LLEN', shard .. ':rdy:' .. queue)
  if ready > 0 then
    ring(shard, queue, 0, now, grace, woken)
  else
    redis.call('ZREM', shard .. ':bell', queue)
  end
end
local late, opened = redis.call('ZRANGEBYSCORE', shard .. ':pdue', '-inf', now, 'LIMIT', 0, LATE_MOST), {}
for _, name in ipairs(late) do
  local text = redis.call('HGET', shard .. ':par', name)
  if text then
    opened[#opened + 1], opened[#opened + 2] = name, text
    opened[#opened + 1] = redis.call('GET', shard .. ':c:' .. name) or ''
  else
    redis.call('ZREM', shard .. ':pdue', name)
  end
end
if #woken > 0 then
  redis.call('HINCRBY', shard .. ':count', 'woken', #woken / 4)
end
local more = #due == most or #scopes == SCOPES_MOST or #late == LATE_MOST or (#scopes > 0 and ARGV[4] == '0')
return { more and 1 or 0, woken, opened }
