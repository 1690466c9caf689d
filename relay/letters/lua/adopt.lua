-- Moves the oldest letter of version 0.2 into the index, if it is still the oldest.
-- include: count
-- KEYS  1 index, 2 what names of letters begin with, 3 meta, 4 letterbox of version 0.2, 5 ids of its letters
-- ARGV  1 entry that was read there, 2 owner, 3 epoch, 4 bytes of row and letter, 5 ms for which letters are kept, 6
--       ms of the letter, 7 counts of accounts, 8 row; "" = it cannot be read, and goes, 9 letter
-- Returns whether there is another.
local index, letters, meta, old_letters, old_ids = unpack(KEYS)
local entry, owner, epoch, bytes, keep_ms, ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local accounts, shown, letter = ARGV[7], ARGV[8], ARGV[9]

local oldest = redis.call('XRANGE', old_letters, '-', entry, 'COUNT', 1)[1]
if oldest and oldest[1] == entry then
  local time = redis.call('TIME')
  local left_ms = ms + keep_ms - tonumber(time[1]) * 1000
  -- An entry behind which the index has gone on cannot be put before it: whoever reads on is told of a gap.
  local last = redis.call('XREVRANGE', index, '+', entry, 'COUNT', 1)[1]
  if left_ms > 0 and shown ~= '' and not last then
    redis.call('PSETEX', letters .. epoch .. '-' .. entry, string.format('%.0f', left_ms), letter)
    redis.call('XADD', index, entry, 'o', owner, 'e', epoch, 'b', bytes, 'r', shown)
    count(meta, accounts, owner, 1, bytes)
  end
  redis.call('XDEL', old_letters, entry)
end
local more = redis.call('XLEN', old_letters) > 0
if not more then redis.call('DEL', old_letters, old_ids) end
return more and 1 or 0
