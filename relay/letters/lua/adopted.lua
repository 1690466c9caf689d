-- Notes that all letters of version 0.2 are in the index, up to a seq that was read before they were.
-- KEYS  1 meta
-- ARGV  1 seq
local meta, seq = KEYS[1], ARGV[1]

local known = redis.call('HMGET', meta, 'seq', 'indexed')
if known[1] and tonumber(known[2] or '0') < tonumber(seq) then redis.call('HSET', meta, 'indexed', seq) end
