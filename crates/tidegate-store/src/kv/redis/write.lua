-- ARGV: now ('' for the server's clock), 'each' or 'all', then seven for each write: namespace, key, condition ('*'
-- always, '-' nothing there, else a version), change ('p' put, 'd' delete, 'k' keep), value, metadata ('' none),
-- expiry ('' none).
-- Answers for 'each' {1, version} or {0, version found} a write; for 'all' {1, versions...} or {0, index from 0,
-- version found}. '' is no version.
--
-- A script that fails is not undone. All that can fail, because a name is another program's, is read before the first
-- write.
local given = tonumber(ARGV[1])
local now = given or tonumber(redis.call('TIME')[1])
local all = ARGV[2] == 'all'
local count = (#ARGV - 2) / 7

local function name(i)
  return 'tidegate-kv:' .. ARGV[i] .. ':v:' .. ARGV[i + 1]
end

local standing, puts, indexes = {}, 0, {}
for w = 0, count - 1 do
  local i = 3 + w * 7
  local at = name(i)
  local row = redis.call('HMGET', at, 'e', 'n')
  local there = row[2] and (row[1] == '' or tonumber(row[1]) > now)
  standing[at] = there and row[2] or ''
  local index = 'tidegate-kv:' .. ARGV[i] .. ':i'
  if not indexes[index] then
    redis.call('ZCARD', index)
    indexes[index] = true
  end
  if ARGV[i + 3] == 'p' then
    puts = puts + 1
  end
end

local function holds(i)
  local condition, found = ARGV[i + 2], standing[name(i)]
  return condition == '*' or (condition == '-' and found == '') or condition == found
end

if all then
  for w = 0, count - 1 do
    local i = 3 + w * 7
    if not holds(i) then
      return {0, w, standing[name(i)]}
    end
  end
end

local version = 0
if puts > 0 then
  version = redis.call('INCRBY', 'tidegate-kv:version', puts) - puts
end

local function make(i)
  local at, key, change, expiry = name(i), ARGV[i + 1], ARGV[i + 3], ARGV[i + 6]
  if change == 'k' then
    return standing[at]
  end
  local index = 'tidegate-kv:' .. ARGV[i] .. ':i'
  redis.call('DEL', at)
  if change == 'd' or (expiry ~= '' and tonumber(expiry) <= now) then
    redis.call('ZREM', index, key)
    standing[at] = ''
    return ''
  end
  version = version + 1
  local drawn = string.format('%.0f', version)
  redis.call('HSET', at, 'd', ARGV[i + 4], 'm', ARGV[i + 5], 'e', expiry, 'n', drawn)
  redis.call('ZADD', index, 0, key)
  -- By a given clock the server must drop nothing. Seconds beyond this are too many for its milliseconds.
  if expiry ~= '' and not given and tonumber(expiry) < 9000000000000 then
    redis.call('EXPIREAT', at, expiry)
  end
  standing[at] = drawn
  return drawn
end

local written = all and {1} or {}
for w = 0, count - 1 do
  local i = 3 + w * 7
  if all then
    written[#written + 1] = make(i)
  elseif holds(i) then
    written[#written + 1] = {1, make(i)}
  else
    written[#written + 1] = {0, standing[name(i)]}
  end
end
return written
