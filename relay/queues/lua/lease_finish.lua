-- include: drop
-- Forgets an entry.
--
-- KEYS  1 queue, 2 bytes of all entries, 3 entry
-- ARGV  1 id, 2 token of the lease, 3 and on: names of the fields that count
-- Returns whether the lease was good.
if redis.call('HGET', KEYS[3], 'lease') ~= ARGV[2] then return 0 end
local bytes = 0
for at = 3, #ARGV do bytes = bytes + redis.call('HSTRLEN', KEYS[3], ARGV[at]) end
redis.call('DEL', KEYS[3])
drop(ARGV[1], bytes)
return 1
