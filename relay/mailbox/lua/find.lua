-- Part of every script of this room: the inbox, and whether a message is in it.
-- include: letters/sweep, letters/behind
-- KEYS  1 index, 2 flags, 3 rows of starred messages, 4 meta, what names begin with: 5 of letters, 6 of starred ones,
--       7 of tombstones; of version 0.2: 8 letterbox, 9 ids of its letters
-- ARGV  1 account, 2 inbox tag, 3 counts of accounts, as of letters/count.lua, 4 ms for which letters are kept, then
--       what the script names
-- Returns "adopt" where version 0.2 has kept letters: nothing is done before they are in the index.
local index, flags, starred, meta, letters, copies, tombs_of_inbox, old_letters, old_ids = unpack(KEYS)
local account, inbox_tag, accounts, keep_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if is_behind(meta) then return 'adopt' end
-- What came before is too old: its letter has gone by itself, its row may still be there.
local time = redis.call('TIME')
local kept_from_ms = math.max(1, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - keep_ms)

local function number(value) return string.format('%.0f', value) end
local function id_of(row) return inbox_tag .. row[2][EPOCH] .. '-' .. row[1] end
local function copy_of(id) return id .. ' ' .. account end
local function find(id)
  local ms, seq = string.match(id, '%-(%d+)%-(%d+)$')
  if tonumber(ms) < kept_from_ms then return nil end
  local row = redis.call('XRANGE', index, ms .. '-' .. seq, ms .. '-' .. seq)[1]
  if row and row[2][OWNER] == account and id_of(row) == id then return row end
end
local function unstar(field)
  redis.call('UNLINK', copies .. field)
  return redis.call('HDEL', starred, field) == 1
end
