-- The oldest message from which on nothing of an inbox is lost: all is kept, or was deleted by its owner.
-- KEYS  1 letterbox, 2 what was deleted of the newest message's epoch, 3 ids of letters
-- ARGV  1 seq of the newest message
-- Returns {ms, seq}; {} when the newest message is lost. The oldest letter itself may be 40 MB.
local letters, deleted, ids = KEYS[1], KEYS[2], KEYS[3]
local newest_seq = tonumber(ARGV[1])

local ms, seq = nil, newest_seq + 1
local oldest
if redis.call('ZCARD', ids) == redis.call('XLEN', letters) then
  oldest = string.match(redis.call('ZRANGE', ids, 0, 0)[1] or '', '%-(%d+%-%d+) ')
else -- an older version of us put letters there without their ids
  oldest = redis.call('XRANGE', letters, '-', '+', 'COUNT', 1)[1]
  oldest = oldest and oldest[1]
end
if oldest then
  ms, seq = string.match(oldest, '^(%d+)%-(%d+)$')
  seq = tonumber(seq)
end
local below = redis.call('ZREVRANGEBYSCORE', deleted, seq - 1, '-inf', 'LIMIT', 0, 1)[1]
if below then
  local first, last, first_ms = string.match(below, '^(%d+)%-(%d+)%-(%d+)$')
  if tonumber(last) >= seq - 1 then ms, seq = first_ms, tonumber(first) end
end
return ms and {ms, string.format('%.0f', seq)} or {}
