-- Deletes one message, starred or not.
-- include: find, drop
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 _id, 6 tombstones kept of an inbox and epoch, 7 ms that they are kept
-- Returns whether it was there.
local id, most_tombs, tombs_ms = ARGV[5], tonumber(ARGV[6]), ARGV[7]

local row, was_starred = find(id), unstar(copy_of(id))
if row then drop(row, most_tombs, tombs_ms) end
if was_starred then redis.call('HDEL', flags, id) end
return (row or was_starred) and 1 or 0
