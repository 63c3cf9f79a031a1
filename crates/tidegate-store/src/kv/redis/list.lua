-- ARGV: now ('' for the server's clock), namespace, first bound, second bound, how many at most, index entries looked
-- at in one call.
-- Answers {state, the last key that was looked at, rows of key, metadata, expiry, version}. State 0: nothing follows;
-- 1: look on behind the last key; 2: as many as wanted, and more follow.
local now = tonumber(ARGV[1]) or tonumber(redis.call('TIME')[1])
local index = 'tidegate-kv:' .. ARGV[2] .. ':i'
local at = 'tidegate-kv:' .. ARGV[2] .. ':v:'
local wanted, looks = tonumber(ARGV[5]), tonumber(ARGV[6])
local keys = redis.call('ZRANGEBYLEX', index, '[' .. ARGV[3], '(' .. ARGV[4], 'LIMIT', 0, looks)
local rows, gone, last = {}, {}, ''
local state = (#keys == looks) and 1 or 0
for _, key in ipairs(keys) do
  local row = redis.call('HMGET', at .. key, 'm', 'e', 'n')
  if not row[3] then
    gone[#gone + 1] = key
  elseif row[2] == '' or tonumber(row[2]) > now then
    if #rows == wanted then
      state = 2
      break
    end
    rows[#rows + 1] = {key, row[1], row[2], row[3]}
  end
  last = key
end
-- The server dropped these by itself when they expired.
if #gone > 0 then
  redis.call('ZREM', index, unpack(gone))
end
return {state, last, rows}
