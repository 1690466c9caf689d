-- Part of every script of this room: the inbox, and whether a message is in it.
-- KEYS  1 letterbox, 2 flags, 3 copies of starred messages, 4 ids of letters, 5 what names of tombstones begin with
-- ARGV  1 account, then what the script names
local letters, flags, starred, all_ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local account = ARGV[1]

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
