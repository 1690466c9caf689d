-- include: now, count_bytes
-- Sets when an entry is due, and whose it is until then.
--
-- KEYS  1 queue, 2 bytes of all entries, 3 entry
-- ARGV  1 id, 2 token of the lease, 3 ms until it is due, 4 token from now on ('' = nobody's),
--       5 and on: name and value of each field that is noted anew; what is large comes last
-- Returns whether the lease was good.
if redis.call('HGET', KEYS[3], 'lease') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[3], 'lease', ARGV[4])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
if not ARGV[5] then return 1 end
local more = 0
for at = 5, #ARGV, 2 do more = more + #ARGV[at + 1] - redis.call('HSTRLEN', KEYS[3], ARGV[at]) end
redis.call('HSET', KEYS[3], unpack(ARGV, 5))
count_bytes(more)
return 1
