-- include: count_bytes
-- Forgets a parked post.
--
-- KEYS  1 stream, 2 bytes of all entries and bodies, 3 body of this one
-- ARGV  1 entry of the stream, 2 bytes that it counts for
-- Returns whether it was there.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[3])
count_bytes(-tonumber(ARGV[2]))
return 1
