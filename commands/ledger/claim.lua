-- Claim commands: from queued to running under a lease, only the first ones of their order keys.
-- KEYS[1]  the shard's hash tag
-- ARGV     token, lease_ms, max_attempts, worker, number of deaths of workers allowed, whether suspects
--          may run here (0: no, 1: yes, and the death of their process is reported, 2: yes, and it
--          is not), epoch, era and clock that the worker has seen of this shard ('', '' and 0: none),
--          then ref and op for each command
-- Returns  the time (microseconds), epoch, era, clock, what the ledger lost or '', then nine for each
--          command: status, op, command, seq, attempt, lease_ms, attempts that do not count, seq of
--          the first acceptance, 1 if it was accepted before this era; status is
--          'run' | 'exhausted' | 'poison' | 'done' | 'busy' | 'wait' | 'gone'
--          | 'suspect'
-- A repeat with the same token claims the same commands, in case the answer was lost.
--
-- A command during which two workers died is a suspect, and is given only to a process that runs nothing
-- else. If that is a child process, an expired lease does not count as a death, since the worker may have
-- died of another command together with the child. The worker reports in a finish if the child died.
local SUSPECT = 2
local shard, token, worker = KEYS[1], ARGV[1], ARGV[4]
local lease, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local time, now, _, known = ledger_time(shard)
local taken = {}
local claimed, running = 0, 0
local dues, waits = {}, {}
local most_deaths, apart = tonumber(ARGV[5]), ARGV[6]
-- Counted in one step for all that may be claimed; unused numbers are gaps.
local asked = (#ARGV - 9) / 2
local clock = redis.call('INCRBY', shard .. ':clock', asked) - asked
local epoch, era, before, lost = enter_era(shard, known, time, clock)
local seen_clock = tonumber(ARGV[9])
if lost == '' and lacks(shard, epoch, era, clock, ARGV[7], ARGV[8], seen_clock) then
  lost = note_lost(shard, clock, ARGV[8], seen_clock, worker)
end
local answers = { time[1] * 1000000 + time[2], epoch, era, clock + asked, lost }

local function answer(status, op, command, seq, attempt, lease_ms, base, mark, older)
  local n = #answers
  answers[n + 1], answers[n + 2], answers[n + 3] = status, op or '', command or ''
  answers[n + 4], answers[n + 5], answers[n + 6] = seq or 0, attempt or 0, lease_ms or 0
  answers[n + 7], answers[n + 8], answers[n + 9] = base or 0, mark or 0, older or 0
end

for i = 10, #ARGV, 2 do
  local ref = ARGV[i]
  local record = shard .. ':op:' .. ref
  local r = redis.call('HMGET', record,
    'st', 'op', 'cmd', 'seq', 'att', 'ord', 'tok', 'until', 'nb', 'xl', 'base', 'crash', 'mark', 'apart')
  local state, order = r[1], r[6]
  -- The op determines which fence is read, so a ticket with another op is not for this command.
  if not state or r[2] ~= ARGV[i + 1] then
    answer('gone')
  elseif state == 'done' or state == 'dead' then
    answer('done')
  elseif state == 'running' and r[7] ~= token and tonumber(r[8]) > now then
    answer('busy')
  elseif tonumber(r[9] or 0) > now then
    answer('wait')
  elseif order ~= ''
    and redis.call('LINDEX', shard .. ':ord:' .. order, taken[order] or 0) ~= ref then
    -- Its message is used up: the finish of the command before it must wake it.
    redis.call('HSET', record, 'w', 1)
    waits[#waits + 1], waits[#waits + 2] = now + LOOK_MS, ref
    answer('wait')
  else
    local attempt, base, deaths = tonumber(r[5]), tonumber(r[11] or 0), tonumber(r[12] or 0)
    local again = state == 'running' and r[7] == token
    local died = state == 'running' and not again
      and (deaths < SUSPECT or r[14] ~= '1')
    if not again then
      attempt = attempt + 1
    end
    if died then
      deaths = deaths + 1
    end
    local status = attempt - base > most and 'exhausted' or 'run'
    if deaths >= most_deaths then
      status = 'poison'
    end
    if lost ~= '' then
      status = 'run' -- it is given back: nothing ends before the ledger is declared right
    end
    if status == 'run' and deaths >= SUSPECT and apart == '0' then
      answer('suspect')
    else
      if died then
        redis.call('HSET', record, 'crash', deaths)
      end
      if apart ~= '0' then
        redis.call('HSET', record, 'apart', apart)
      end
      if not again then
        claimed = claimed + 1
      end
      local lease_ms = lease + tonumber(r[10] or 0)
      redis.call('HSET', record, 'st', 'running', 'tok', token, 'att', attempt, 'by', worker,
        'until', now + lease_ms, 'w', 0, 'nb', 0, 'beg', clock + (i - 8) / 2)
      dues[#dues + 1], dues[#dues + 2] = now + lease_ms, ref
      if order ~= '' then
        taken[order] = (taken[order] or 0) + 1
      end
      if state ~= 'running' then
        running = running + 1
      end
      local older = tonumber(r[4]) <= before and 1 or 0
      answer(status, r[2], r[3], r[4], attempt, lease_ms, base, r[13] or r[4], older)
    end
  end
end
-- A script's call takes some thousands of arguments at most.
for first = 1, #dues, 2000 do
  redis.call('ZADD', shard .. ':due', unpack(dues, first, math.min(first + 1999, #dues)))
end
for first = 1, #waits, 2000 do
  -- GT: never earlier than it is due anyway, as held commands are.
  redis.call('ZADD', shard .. ':due', 'XX', 'GT',
    unpack(waits, first, math.min(first + 1999, #waits)))
end
if claimed > 0 then
  redis.call('HINCRBY', shard .. ':count', 'claimed', claimed)
end
if running > 0 then
  redis.call('HINCRBY', shard .. ':count', 'running', running)
end
return answers
