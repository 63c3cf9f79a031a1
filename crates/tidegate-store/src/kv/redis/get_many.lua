-- ARGV: now ('' for the server's clock), namespace, keys.
-- Answers for each key {value, metadata, expiry, version}, or nothing.
local now = tonumber(ARGV[1]) or tonumber(redis.call('TIME')[1])
local at = 'tidegate-kv:' .. ARGV[2] .. ':v:'
local found = {}
for i = 3, #ARGV do
  local row = redis.call('HMGET', at .. ARGV[i], 'd', 'm', 'e', 'n')
  local there = row[4] and (row[3] == '' or tonumber(row[3]) > now)
  found[#found + 1] = there and row
end
return found
