-- ARGV: where SCAN goes on, how many keys it looks at in one step.
-- Answers {where it goes on next, entries that were seen, entries that were not in their index and are now, entries that
-- lacked a field}. Nobody sees a value change: an entry that is written or removed meanwhile is so before this or behind it.
local step = redis.call('SCAN', ARGV[1], 'MATCH', 'tidegate-kv:*:v:*', 'COUNT', ARGV[2], 'TYPE', 'hash')
local seen, added, mended = 0, 0, 0
for _, at in ipairs(step[2]) do
  local namespace, key = string.match(at, '^tidegate%-kv:([%w_%-]+):v:(.+)$')
  local row = namespace and redis.call('HMGET', at, 'd', 'm', 'e', 'n')
  if row and row[1] then
    seen = seen + 1
    if not (row[2] and row[3] and row[4]) then
      mended = mended + 1
      local ends = redis.call('EXPIRETIME', at)
      local expiry = row[3] or (ends > 0 and string.format('%.0f', ends)) or ''
      local version = row[4] or string.format('%.0f', redis.call('INCR', 'tidegate-kv:version'))
      redis.call('HSET', at, 'm', row[2] or '', 'e', expiry, 'n', version)
    elseif tonumber(row[4]) > tonumber(redis.call('GET', 'tidegate-kv:version') or '0') then
      -- A version is given once: the counter goes on behind the highest.
      redis.call('SET', 'tidegate-kv:version', row[4])
    end
    added = added + redis.call('ZADD', 'tidegate-kv:' .. namespace .. ':i', 'NX', 0, key)
  end
end
return {step[1], seen, added, mended}
