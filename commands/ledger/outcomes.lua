-- Read the outcomes of commands, in parcels and in records. Changes nothing.
-- KEYS[1]  the shard's hash tag
-- ARGV     for each tenant/env: its name, number of commands, their op_ids
-- Returns  two lists: the content of :o:<name> of each parcel with some of them, and an entry for each
--          command: false (open or unknown), the JSON of its record's outcome, or the index of its
--          parcel in the first list and its position there, both from 0: '<index> <position>'
local shard = KEYS[1]
local contents, answers, at = {}, {}, {}

local i = 1
while i <= #ARGV do
  local tenant_env, count = ARGV[i], tonumber(ARGV[i + 1])
  local ops = {}
  for n = 1, count do
    ops[n] = ARGV[i + 1 + n]
  end
  local entries = redis.call('HMGET', shard .. ':ids:' .. tenant_env, unpack(ops))
  for n, op in ipairs(ops) do
    local name, position = string.match(entries[n] or '', '^(%d+)%.(%d+):')
    if name and at[name] == nil then
      local content = redis.call('GET', shard .. ':o:' .. name)
      at[name] = content and #contents
      if content then
        contents[#contents + 1] = content
      end
    end
    if name and at[name] then
      answers[#answers + 1] = at[name] .. ' ' .. position
    elseif name and redis.call('HEXISTS', shard .. ':par', name) == 1 then
      answers[#answers + 1] = false
    else
      answers[#answers + 1] = redis.call('HGET', shard .. ':op:' .. tenant_env .. '/' .. op, 'out')
    end
  end
  i = i + 2 + count
end
return { contents, answers }
