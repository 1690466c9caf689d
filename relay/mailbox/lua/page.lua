-- Some messages of an inbox, newest first.
-- include: find, older
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 where to begin, 6 Unix ms where to end, 7 rows, 8 bytes of rows after which to pause
-- Returns where to go on ("" at the end), ids, rows, their flags ("" = none), "1" for those that are starred, and at
-- the end the ids of starred ones that are not among the letters any more.
local at, to_ms, most, most_bytes = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local to = number(math.max(to_ms, kept_from_ms))

local ids, rows, saved, bytes, gone = {}, {}, {}, 0, {}
while #rows < most and bytes < most_bytes do
  local row = redis.call('XREVRANGE', index, at, to, 'COUNT', 1)[1]
  if not row then at = '' break end
  at, bytes = '(' .. row[1], bytes + #row[2][SHOWN]
  if row[2][OWNER] == account then
    ids[#ids + 1], rows[#rows + 1], saved[#saved + 1] = id_of(row), row[2][SHOWN], '0'
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
return {at, ids, rows, marks, saved, gone}
