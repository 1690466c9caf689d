-- Starred messages of an inbox, by their ids.
-- include: find
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 bytes after which to pause, then _ids
-- Returns for each its row, its flags, and whether it is starred; fewer than asked for after a pause. A row of more
-- bytes than that is "": version 0.2 kept the whole message there, and a script would look at each of its bytes.
local most_bytes = tonumber(ARGV[5])

local found, bytes = {}, 0
for at = 6, #ARGV do
  if bytes > most_bytes then break end
  local id, row = ARGV[at], ''
  local size = redis.call('HSTRLEN', starred, copy_of(id))
  if size > 0 and size <= most_bytes then row = redis.call('HGET', starred, copy_of(id)) end
  bytes = bytes + #row
  found[#found + 1] = {row, redis.call('HGET', flags, id) or '', size > 0 and 1 or 0}
end
return found
