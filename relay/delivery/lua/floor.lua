-- The oldest message from which on nothing of an inbox is lost: all is kept, or was deleted by its owner.
-- KEYS  1 index, 2 what was deleted of the newest message's epoch
-- ARGV  1 seq of the newest message, 2 ms for which letters are kept
-- Returns {ms, seq}; {} when the newest message is lost.
local index, deleted = KEYS[1], KEYS[2]
local newest_seq, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local from_ms = math.max(tonumber(time[1]) * 1000 - keep_ms, 0)
local ms, seq = nil, newest_seq + 1
local oldest = redis.call('XRANGE', index, string.format('%.0f-0', from_ms), '+', 'COUNT', 1)[1]
if oldest then
  ms, seq = string.match(oldest[1], '^(%d+)%-(%d+)$')
  seq = tonumber(seq)
end
local below = redis.call('ZREVRANGEBYSCORE', deleted, seq - 1, '-inf', 'LIMIT', 0, 1)[1]
if below then
  local first, last, first_ms = string.match(below, '^(%d+)%-(%d+)%-(%d+)$')
  if tonumber(last) >= seq - 1 then ms, seq = first_ms, tonumber(first) end
end
return ms and {ms, string.format('%.0f', seq)} or {}
