-- Part of scripts that throw mail away: empty(to) forgets letters of an inbox, and returns whether none up to there is
-- left; forget_all() forgets what else there is of its mail.
-- include: letters/forget
-- KEYS  of the script: 2 index, 3 meta, 4 flags, 5 rows of starred messages, what names begin with: 6 of letters, 7 of
--       starred letters; of version 0.2: 8 letterbox, 9 ids of letters
-- ARGV  of the script: 2 counts of accounts, as of letters/count.lua
-- `to` is where to end in the index. What takes long is done in steps.
local index, meta, starred, letters, copies = KEYS[2], KEYS[3], KEYS[5], KEYS[6], KEYS[7]
local accounts = ARGV[2]
local FORGOTTEN_AT_ONCE, READ_AT_ONCE_BYTES = 80, 256 * 1024

local function empty(to)
  local bytes, kept, none_left = 0, kept_of(meta), false
  for _ = 1, FORGOTTEN_AT_ONCE do
    if bytes > READ_AT_ONCE_BYTES then break end
    local row = redis.call('XRANGE', index, '-', to, 'COUNT', 1)[1]
    none_left = not row
    if none_left then break end
    bytes = bytes + #row[2][SHOWN]
    forget(index, letters, kept, row)
  end
  settle(meta, accounts, kept)
  return none_left
end
local function forget_all()
  for _, field in ipairs(redis.call('HKEYS', starred)) do redis.call('UNLINK', copies .. field) end
  redis.call('UNLINK', unpack(KEYS, 2, 9))
end
