-- Accept dead letters again, at the end of the order of their keys.
-- KEYS[1]  the shard's hash tag
-- ARGV     grace_ms, then two for each command: ref, and the command with a new signature or ''
-- Returns  three for each command: 'new' | 'not dead' | 'no command', op, queue
local shard, grace = KEYS[1], tonumber(ARGV[1])
local time, now, real = ledger_time(shard)
local answers, replayed = {}, 0
-- Without the signature, which is the second line.
local function document(cmd)
  return string.match(cmd or '', '^[^\n]*')
end

for i = 2, #ARGV, 2 do
  local ref = ARGV[i]
  local record = shard .. ':op:' .. ref
  local r = redis.call('HMGET', record, 'st', 'fp', 'op', 'q', 'ord', 'att', 'seq')
  local n = #answers
  answers[n + 1], answers[n + 2], answers[n + 3] = 'new', r[3] or '', r[4] or ''
  if r[1] ~= 'dead' then
    answers[n + 1] = 'not dead'
  elseif r[2] == '' then
    answers[n + 1] = 'no command'
  else
    local seq = string.format('%.0f', next_seq(shard, time))
    redis.call('SET', shard .. ':seq', seq)
    -- The effect of an earlier attempt has the number of the first acceptance on the backend.
    redis.call('HSETNX', record, 'mark', r[7])
    -- Attempts continue to count, since one of them may have had its effect: the next is a
    -- takeover. The limit counts from `base`.
    redis.call('HSET', record, 'st', 'queued', 'tok', '', 'seq', seq, 'base', r[6], 'nb', 0,
      'w', 0, 'acc', real)
    if ARGV[i + 1] ~= '' and document(ARGV[i + 1]) == document(redis.call('HGET', record, 'cmd')) then
      redis.call('HSET', record, 'cmd', ARGV[i + 1])
    end
    redis.call('HDEL', record, 'out', 'fin', 'why', 'crash', 'sg')
    if r[5] ~= '' then
      local tenant_env = string.match(ref, '^[^/]*/[^/]*')
      queue_up(shard, tenant_env, string.sub(r[5], #tenant_env + 2), ref)
    end
    redis.call('ZREM', shard .. ':dead', ref)
    redis.call('ZADD', shard .. ':due', now + grace, ref)
    redis.call('HINCRBY', shard .. ':open', string.match(ref, '^[^/]*/[^/]*'), 1)
    redis.call('HINCRBY', shard .. ':open', scope_of(ref, r[3]), 1)
    replayed = replayed + 1
  end
end
if replayed > 0 then
  redis.call('HINCRBY', shard .. ':count', 'replayed', replayed)
end
return answers
