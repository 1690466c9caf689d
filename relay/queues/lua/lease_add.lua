-- include: now, count_bytes
-- Adds an entry that is due now, once for its id.
--
-- KEYS  1 queue, 2 bytes of all entries, 3 entry
-- ARGV  1 entries that may wait, 2 bytes that they may take, 3 id, 4 ms until it is overdue, 5 bytes that it counts
--       for, 6 and on: name and value of each field; what is large comes last
-- Returns 0 the queue is full, 1 it is there already, 2 it is new.
if redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') + tonumber(ARGV[5])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) or bytes > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[3], 'tries', 0, 'lease', '', 'until', string.format('%.0f', now + tonumber(ARGV[4])),
           unpack(ARGV, 6))
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
count_bytes(tonumber(ARGV[5]))
return 2
