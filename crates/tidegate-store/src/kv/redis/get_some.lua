-- ARGV: now ('' for the server's clock), most bytes of the values together, namespace, keys.
-- Answers for each of the first keys {value, metadata, expiry, version}, or nothing: for one at least, and for as many as
-- have no more bytes.
local now = tonumber(ARGV[1]) or tonumber(redis.call('TIME')[1])
local most, bytes = tonumber(ARGV[2]), 0
local at = 'tidegate-kv:' .. ARGV[3] .. ':v:'
local found = {}
for i = 4, #ARGV do
  local row = redis.call('HMGET', at .. ARGV[i], 'd', 'm', 'e', 'n')
  local there = row[4] and (row[3] == '' or tonumber(row[3]) > now)
  bytes = bytes + (there and #(row[1] or '') or 0)
  if bytes > most and #found > 0 then
    break
  end
  found[#found + 1] = there and row
end
return found
