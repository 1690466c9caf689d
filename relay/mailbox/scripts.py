"""The Lua of this room. Each script touches the keys of one inbox, and is one atomic step.

KEYS  1 letterbox, 2 flags, 3 copies of starred messages, 4 ids of letters, 5 what names of tombstones begin with
ARGV  1 account, then what the script names

Who reads a letter copies all of it while nobody else gets an answer from Redis, some 150 ms for a mail of 22 MB. So
what shows no message looks at ids.

Flags are text: "1" when read, else "0"; the folder; the labels; each on a line.
"""

from __future__ import annotations

from relay.delivery.tombstones import BURY

_FIND = """
local letters, flags, starred, all_ids, account = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1]
local function id_of(frame) return string.match(frame, '^{"_id":"(%x+%-%d+%-%d+)"') end
local function copy_of(id) return id .. ' ' .. account end
local function letter(id)
  local entry = string.match(id, '%d+%-%d+$')
  local row = redis.call('XRANGE', letters, entry, entry)[1]
  if row and row[2][2] == account and id_of(row[2][4]) == id then return row[2][4] end
end
-- An older version of us put letters there without their ids.
local function all_have_ids() return redis.call('ZCARD', all_ids) >= redis.call('XLEN', letters) end
local function find(id)
  if redis.call('ZSCORE', all_ids, copy_of(id)) then return true end
  return not all_have_ids() and letter(id) ~= nil
end
"""

# The message without what a list does not show. In JSON a quote inside a string is escaped, so what is looked for is
# found between members only; a header may be named "attachments", but the last one is ours.
_CUT = """
local function cut(frame)
  local raw = string.find(frame, ',"raw":"', 1, true)
  local size = raw and string.find(frame, '","size":', raw + 8, true)
  local headers = size and string.find(frame, ',"headers":{', size, true)
  if not headers then return frame end
  -- As a rule not much comes after it, and to look from the end of a large text takes longer than all the rest.
  local _, attachments = string.find(frame, '^.*,"attachments":', math.max(headers, #frame - 4096))
  if not attachments then _, attachments = string.find(frame, '^.*,"attachments":', headers) end
  if not attachments then return frame end
  return string.sub(frame, 1, raw - 1) .. string.sub(frame, size + 1, headers - 1)
    .. string.sub(frame, attachments - #',"attachments":' + 1)
end
"""

# Whether a message is older than all letters.
_OLDER = """
local oldest
if all_have_ids() then
  oldest = string.match(redis.call('ZRANGE', all_ids, 0, 0)[1] or '', '%-(%d+%-%d+) ')
else
  oldest = redis.call('XRANGE', letters, '-', '+', 'COUNT', 1)[1][1]
end
local oldest_ms, oldest_seq
if oldest then
  oldest_ms, oldest_seq = string.match(oldest, '^(%d+)%-(%d+)$')
  oldest_ms, oldest_seq = tonumber(oldest_ms), tonumber(oldest_seq)
end
local function older(id)
  if not oldest then return true end
  local ms, seq = string.match(id, '%-(%d+)%-(%d+)')
  ms, seq = tonumber(ms), tonumber(seq)
  return ms < oldest_ms or (ms == oldest_ms and seq < oldest_seq)
end
"""

# A letter that is gone leaves a tombstone, or whoever resumes would be told that it was lost.
_DROP = (
    BURY
    + """
local function drop(id, limit, tombs_ms)
  local ms, seq = string.match(id, '%-(%d+)%-(%d+)$')
  local tombs = KEYS[5] .. string.sub(id, 11, 16)
  redis.call('XDEL', letters, ms .. '-' .. seq)
  redis.call('ZREM', all_ids, copy_of(id))
  bury(tombs, tonumber(seq), tonumber(ms), limit)
  redis.call('PEXPIRE', tombs, tombs_ms)
  redis.call('HDEL', flags, id)
end
"""
)

# ARGV: 2 where to begin, 3 where to end, 4 letters, 5 bytes of letters after which to pause.
# Replies where to go on ("" at the end), bytes read, frames without what a list does not show, their flags ("" = none),
# "1" for those that are starred, and at the end the ids of starred ones whose letters are gone.
PAGE = (
    _FIND
    + _CUT
    + """
local at, ids, frames, saved, bytes, gone = ARGV[2], {}, {}, {}, 0, {}
while #frames < tonumber(ARGV[4]) and bytes < tonumber(ARGV[5]) do
  local row = redis.call('XREVRANGE', letters, at, ARGV[3], 'COUNT', 1)[1]
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
"""
    + _OLDER
    + """
  for _, field in ipairs(redis.call('HKEYS', starred)) do
    local id, owner = string.match(field, '^(%S+) (.*)$')
    if owner == account and older(id) then gone[#gone + 1] = id end
  end
end
return {at, bytes, frames, marks, saved, gone}
"""
)

# ARGV: 2 bytes after which to pause, then _ids of starred messages.
# Replies for each its frame as of PAGE ("" = it is not starred), and its flags; fewer than asked for after a pause.
COPIES = (
    _FIND
    + _CUT
    + """
local rows, bytes = {}, 0
for at = 3, #ARGV do
  if bytes > tonumber(ARGV[2]) then break end
  local frame = redis.call('HGET', starred, copy_of(ARGV[at])) or ''
  bytes = bytes + #frame
  rows[#rows + 1] = {frame == '' and '' or cut(frame), redis.call('HGET', flags, ARGV[at]) or '', #frame}
end
return rows
"""
)

# Replies messages, those of them that are read, and those that are starred. All letters are the account's.
COUNT = (
    _FIND
    + """
local total, read, stars = redis.call('XLEN', letters), 0, 0
"""
    + _OLDER
    + """
for _, field in ipairs(redis.call('HKEYS', starred)) do
  local id, owner = string.match(field, '^(%S+) (.*)$')
  if owner == account then
    stars = stars + 1
    if older(id) then total = total + 1 end
  end
end
local marks = redis.call('HGETALL', flags)
for at = 1, #marks, 2 do
  local there = not older(marks[at]) or redis.call('HEXISTS', starred, copy_of(marks[at])) == 1
  if there and string.sub(marks[at + 1], 1, 1) == '1' then read = read + 1 end
end
return {total, read, stars}
"""
)

# ARGV: 2 _id, 3 "read", "folder", "label" or "unlabel", 4 what to set, 5 labels of a message, 6 ms that flags are kept.
# Replies the new flags; "full": too many labels; "gone": there is no such message.
# Flags of messages that are gone are swept out when they could be half of all.
FLAG = (
    _FIND
    + """
local id, what, value = ARGV[2], ARGV[3], ARGV[4]
if not find(id) and redis.call('HEXISTS', starred, copy_of(id)) == 0 then return 'gone' end
local lines, known = {}, nil
for line in string.gmatch(redis.call('HGET', flags, id) or '0\\ninbox', '[^\\n]+') do
  lines[#lines + 1] = line
  if #lines > 2 and line == value then known = #lines end
end
if what == 'read' then
  lines[1] = value
elseif what == 'folder' then
  lines[2] = value
elseif what == 'label' and not known then
  if #lines - 2 >= tonumber(ARGV[5]) then return 'full' end
  lines[#lines + 1] = value
elseif what == 'unlabel' and known then
  table.remove(lines, known)
end
local now = table.concat(lines, '\\n')
if now == '0\\ninbox' then redis.call('HDEL', flags, id) else redis.call('HSET', flags, id, now) end
local stars = redis.call('HLEN', starred)
if stars > 0 then redis.call('PERSIST', flags) else redis.call('PEXPIRE', flags, ARGV[6]) end
if redis.call('HLEN', flags) > 2 * (redis.call('XLEN', letters) + stars) + 32 then
"""
    + _OLDER
    + """
  for _, field in ipairs(redis.call('HKEYS', flags)) do
    if older(field) and redis.call('HEXISTS', starred, copy_of(field)) == 0 then redis.call('HDEL', flags, field) end
  end
end
return now
"""
)

# ARGV: 2 _id, 3 copies kept of an inbox, 4 their bytes, 5 ms that flags are kept.
# Replies 1: starred, 0: no more, -1: there is no such message, -2: too many, -3: too large.
STAR = (
    _FIND
    + """
local field = copy_of(ARGV[2])
local there = find(ARGV[2])
if redis.call('HDEL', starred, field) == 1 then
  if not there then redis.call('HDEL', flags, ARGV[2]) end
  if redis.call('EXISTS', starred) == 0 then redis.call('PEXPIRE', flags, ARGV[5]) end
  return 0
end
if not there then return -1 end
local count, bytes = 0, 0
for _, other in ipairs(redis.call('HKEYS', starred)) do
  if string.match(other, ' (.*)$') == account then
    count, bytes = count + 1, bytes + redis.call('HSTRLEN', starred, other)
  else
    redis.call('HDEL', starred, other) -- of who had the inbox before
  end
end
if count >= tonumber(ARGV[3]) then return -2 end
local frame = letter(ARGV[2]) -- there is no other way to copy it, so the limits that need no look at it come first
if not frame then return -1 end
if bytes + #frame > tonumber(ARGV[4]) then return -3 end
redis.call('HSET', starred, field, frame)
redis.call('PERSIST', flags)
return 1
"""
)

# ARGV: 2 _id, 3 tombstones kept of an inbox and epoch, 4 ms that they are kept.
# Replies whether it was there.
DELETE = (
    _FIND
    + _DROP
    + """
local there = find(ARGV[2])
local copies = redis.call('HDEL', starred, copy_of(ARGV[2]))
if there then drop(ARGV[2], tonumber(ARGV[3]), ARGV[4]) end
if copies == 1 then redis.call('HDEL', flags, ARGV[2]) end
return (there or copies == 1) and 1 or 0
"""
)

# ARGV: 2 where to begin, 3 where to end, 4 and 5 as of DELETE, 6 bytes of letters after which to pause.
# Replies where to go on; "" at the end. Starred ones stay.
DELETE_ALL = (
    _FIND
    + _DROP
    + """
local at, bytes = ARGV[2], 0
if all_have_ids() then
  local after, last = string.match(at, '%-(%d+)$'), string.match(ARGV[3], '%d+$')
  local some = redis.call('ZRANGEBYSCORE', all_ids, after and '(' .. after or '-inf', last, 'LIMIT', 0, 10)
  for _, member in ipairs(some) do
    local id, owner = string.match(member, '^(%S+) (.*)$')
    at = '(' .. string.match(id, '%d+%-%d+$')
    if owner == account and redis.call('HEXISTS', starred, member) == 0 then drop(id, tonumber(ARGV[4]), ARGV[5]) end
  end
  return #some == 10 and at or ''
end
for _ = 1, 200 do
  if bytes >= tonumber(ARGV[6]) then return at end
  local row = redis.call('XRANGE', letters, at, ARGV[3], 'COUNT', 1)[1]
  if not row then return '' end
  at, bytes = '(' .. row[1], bytes + #row[2][4]
  local id = id_of(row[2][4])
  if id and row[2][2] == account and redis.call('HEXISTS', starred, copy_of(id)) == 0 then
    drop(id, tonumber(ARGV[4]), ARGV[5])
  end
end
return at
"""
)
