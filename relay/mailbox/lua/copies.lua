-- Starred messages of an inbox, by their ids.
-- include: find, cut
-- KEYS  as of find.lua
-- ARGV  1 account, 2 bytes after which to pause, then _ids
-- Returns for each its frame as of page.lua ("" = it is not starred), its flags and the bytes of the whole frame; fewer
-- than asked for after a pause.
local most_bytes = tonumber(ARGV[2])

local rows, bytes = {}, 0
for at = 3, #ARGV do
  if bytes > most_bytes then break end
  local frame = redis.call('HGET', starred, copy_of(ARGV[at])) or ''
  bytes = bytes + #frame
  rows[#rows + 1] = {frame == '' and '' or cut(frame), redis.call('HGET', flags, ARGV[at]) or '', #frame}
end
return rows
