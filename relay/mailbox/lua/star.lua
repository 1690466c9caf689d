-- Stars a message, or takes its star off.
-- include: find
-- KEYS  as of find.lua
-- ARGV  1 account, 2 _id, 3 copies kept of an inbox, 4 their bytes, 5 ms that flags are kept
-- Returns 1: starred, 0: no more, -1: there is no such message, -2: too many, -3: too large.
local id, most, most_bytes, keep_ms = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local field = copy_of(id)
local there = find(id)
if redis.call('HDEL', starred, field) == 1 then
  if not there then redis.call('HDEL', flags, id) end
  if redis.call('EXISTS', starred) == 0 then redis.call('PEXPIRE', flags, keep_ms) end
  return 0
end
if not there then return -1 end
local count, bytes = 0, 0
for _, other in ipairs(redis.call('HKEYS', starred)) do
  if string.match(other, ' (.*)$') == account then
    count, bytes = count + 1, bytes + redis.call('HSTRLEN', starred, other)
  else
    redis.call('HDEL', starred, other) -- of who had the inbox before
  end
end
if count >= most then return -2 end
local frame = letter(id) -- there is no other way to copy it, so the limits that need no look at it come first
if not frame then return -1 end
if bytes + #frame > most_bytes then return -3 end
redis.call('HSET', starred, field, frame)
redis.call('PERSIST', flags)
return 1
