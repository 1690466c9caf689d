-- Some messages of an inbox, newest first.
-- include: find, cut, older
-- KEYS  as of find.lua
-- ARGV  1 account, 2 where to begin, 3 where to end, 4 letters, 5 bytes of letters after which to pause
-- Returns where to go on ("" at the end), bytes read, frames without what a list does not show, their flags
-- ("" = none), "1" for those that are starred, and at the end the ids of starred ones whose letters are gone.
local at, to, most, most_bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local ids, frames, saved, bytes, gone = {}, {}, {}, 0, {}
while #frames < most and bytes < most_bytes do
  local row = redis.call('XREVRANGE', letters, at, to, 'COUNT', 1)[1]
  if not row then at = '' break end
  at, bytes = '(' .. row[1], bytes + #row[2][4]
  local id = id_of(row[2][4])
  if id and row[2][2] == account then
    ids[#ids + 1], frames[#frames + 1], saved[#saved + 1] = id, cut(row[2][4]), '0'
  end
end
local marks = #ids > 0 and redis.call('HMGET', flags, unpack(ids)) or {}
for i = 1, #ids do marks[i] = marks[i] or '' end
local stars = redis.call('EXISTS', starred) == 1
if stars then
  for i, id in ipairs(ids) do saved[i] = tostring(redis.call('HEXISTS', starred, copy_of(id))) end
end
if at == '' and stars then
  local older = letters_begin()
  for _, field in ipairs(redis.call('HKEYS', starred)) do
    local id, owner = string.match(field, '^(%S+) (.*)$')
    if owner == account and older(id) then gone[#gone + 1] = id end
  end
end
return {at, bytes, frames, marks, saved, gone}
