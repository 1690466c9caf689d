-- Stars a message, or takes its star off.
-- include: find
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 _id, 6 messages that may be starred in an inbox, 7 their bytes, 8 ms that flags are kept
-- Returns 1: starred, 0: no more, -1: there is no such message, -2: too many, -3: too large.
local id, most, most_bytes, flags_ms = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

local field, row = copy_of(id), find(id)
if unstar(field) then
  if not row then redis.call('HDEL', flags, id) end
  if redis.call('EXISTS', starred) == 0 then redis.call('PEXPIRE', flags, flags_ms) end
  return 0
end
if not row then return -1 end
local messages, bytes = 0, tonumber(row[2][BYTES])
for _, other in ipairs(redis.call('HKEYS', starred)) do
  if string.match(other, ' (.*)$') == account then
    messages = messages + 1
    bytes = bytes + redis.call('HSTRLEN', starred, other) + redis.call('STRLEN', copies .. other)
  else
    unstar(other) -- of who had the inbox before
  end
end
if messages >= most then return -2 end
if bytes > most_bytes then return -3 end
if redis.call('COPY', letters .. row[2][EPOCH] .. '-' .. row[1], copies .. field, 'REPLACE') == 0 then return -1 end
redis.call('PERSIST', copies .. field)
redis.call('HSET', starred, field, row[2][SHOWN])
redis.call('PERSIST', flags)
return 1
