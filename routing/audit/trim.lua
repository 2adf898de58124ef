-- Remove events from the beginning of the log, and from the histories of their subjects.
-- KEYS[1]  the registry's hash tag
-- ARGV     revision and hash of the last event to remove, how many there may be at most
-- Returns  how many were removed
local rt = KEYS[1]
local log = rt .. ':log'
local archived = redis.call('HGET', rt .. ':archive', 'rev')
-- Asked here once more: nothing is trimmed that is not archived.
if not archived or tonumber(archived) < tonumber(ARGV[1]) then
  return 0
end
local rows = redis.call('XRANGE', log, '-', ARGV[1] .. '-0', 'COUNT', ARGV[3])
if #rows == 0 or rows[#rows][1] ~= ARGV[1] .. '-0' then
  return 0
end
for _, row in ipairs(rows) do
  local fields = row[2]
  for n = 1, #fields, 2 do
    if fields[n] == 'subject' then
      local history = rt .. ':history:' .. fields[n + 1]
      local first = redis.call('LINDEX', history, 0)
      while first and tonumber(first) <= tonumber(ARGV[1]) do
        redis.call('LPOP', history)
        first = redis.call('LINDEX', history, 0)
      end
    end
  end
  redis.call('XDEL', log, row[1])
end
redis.call('HSET', rt .. ':head', 'base_rev', ARGV[1], 'base_hash', ARGV[2])
return #rows
