-- Accept commands: record each intent once, give it its place in the order, and a due time.
-- KEYS[1]  the shard's hash tag
-- ARGV     grace_ms, open commands allowed a tenant and env (0: any number), then nine a command:
--          ref, fingerprint, op, queue, order key or '', command, retention_ms,
--          reply channel or '', extra lease_ms
-- Returns  three a command: 'new' | 'same' | 'conflict' | 'full', seq, outcome or ''
local shard = KEYS[1]
local grace = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[2])
local answers, accepted = {}, 0
local opened, open, dues = {}, {}, {}
for i = 3, #ARGV, 9 do
  local ref, order = ARGV[i], ARGV[i + 4]
  local place = string.match(ref, '^[^/]*/[^/]*')
  if not open[place] then
    open[place] = tonumber(redis.call('HGET', shard .. ':open', place) or 0)
    opened[place] = 0
  end
  local record = shard .. ':op:' .. ref
  local known = redis.call('HMGET', record, 'fp', 'seq', 'out')
  if known[1] == '' then
    -- What was buried here was no command: the corrected one takes its place.
    redis.call('DEL', record)
    redis.call('ZREM', shard .. ':dead', ref)
    known[1] = false
  end
  if known[1] then
    local same = known[1] == ARGV[i + 1]
    answers[#answers + 1] = same and 'same' or 'conflict'
    answers[#answers + 1] = known[2]
    answers[#answers + 1] = same and known[3] or ''
    -- Whoever submits again wants to be told as well: the last asker is.
    if same and not known[3] and ARGV[i + 7] ~= '' then
      redis.call('HSET', record, 'rep', ARGV[i + 7])
    end
  elseif most > 0 and open[place] + opened[place] >= most then
    answers[#answers + 1], answers[#answers + 2], answers[#answers + 3] = 'full', 0, ''
  else
    local seq = redis.call('INCR', shard .. ':seq')
    if seq == 1 then
      -- Begins at the time, so that a ledger that was lost does not count below what backends
      -- have stored as the newest: their fences would drop every write.
      seq = now * 1000
      redis.call('SET', shard .. ':seq', string.format('%.0f', seq))
    end
    seq = string.format('%.0f', seq)
    redis.call('HSET', record, 'st', 'queued', 'fp', ARGV[i + 1], 'op', ARGV[i + 2],
      'q', ARGV[i + 3], 'ord', order, 'cmd', ARGV[i + 5], 'ret', ARGV[i + 6],
      'rep', ARGV[i + 7], 'xl', ARGV[i + 8], 'seq', seq, 'att', 0, 'acc', now)
    if order ~= '' then
      redis.call('RPUSH', shard .. ':ord:' .. order, ref)
    end
    dues[#dues + 1], dues[#dues + 2] = now + grace, ref
    accepted = accepted + 1
    opened[place] = opened[place] + 1
    answers[#answers + 1] = 'new'
    answers[#answers + 1] = seq
    answers[#answers + 1] = ''
  end
end
-- A script's call takes some thousands of arguments at most.
for first = 1, #dues, 2000 do
  redis.call('ZADD', shard .. ':due', unpack(dues, first, math.min(first + 1999, #dues)))
end
if accepted > 0 then
  redis.call('HINCRBY', shard .. ':count', 'accepted', accepted)
end
for place, by in pairs(opened) do
  if by > 0 then
    redis.call('HINCRBY', shard .. ':open', place, by)
  end
end
return answers
