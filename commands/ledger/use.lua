-- Read before finish.lua and end_parcels.lua: adds up the use of commands by scope.
local NAMES = { 'reads', 'writes', 'failures', 'bytes_in', 'bytes_out', 'objects', 'bytes' }
local uses, health = {}, {}

-- For one command or many: scope, the numbers of NAMES, and the result of the backend or nothing.
local function count_use(packed)
  local parts = {}
  for part in string.gmatch(packed, '%S+') do
    parts[#parts + 1] = part
  end
  local sums = uses[parts[1]]
  if not sums then
    sums = { 0, 0, 0, 0, 0, 0, 0 }
    uses[parts[1]] = sums
  end
  for n = 1, 7 do
    sums[n] = sums[n] + tonumber(parts[n + 1])
  end
  if parts[9] then
    health[parts[1]] = parts[9]
  end
end

-- Written once for each scope, at the end.
local function keep_uses(shard, month, month_kept, real)
  for scope, sums in pairs(uses) do
    local stored = shard .. ':use:' .. scope
    local its_month = stored .. ':' .. month
    for n = 1, 7 do
      if sums[n] ~= 0 then
        redis.call('HINCRBY', n <= 5 and its_month or stored, NAMES[n], sums[n])
      end
    end
    redis.call('EXPIRE', its_month, month_kept)
    if health[scope] == 'ok' then
      redis.call('HSET', stored, 'ok_at', real)
    elseif health[scope] then
      redis.call('HSET', stored, 'error_at', real, 'error', health[scope])
    end
  end
end
