-- Deletes one message, starred or not.
-- include: find, drop
-- KEYS  as of find.lua
-- ARGV  1 account, 2 _id, 3 tombstones kept of an inbox and epoch, 4 ms that they are kept
-- Returns whether it was there.
local id, most_tombs, tombs_ms = ARGV[2], tonumber(ARGV[3]), ARGV[4]

local there = find(id)
local copies = redis.call('HDEL', starred, copy_of(id))
if there then drop(id, most_tombs, tombs_ms) end
if copies == 1 then redis.call('HDEL', flags, id) end
return (there or copies == 1) and 1 or 0
