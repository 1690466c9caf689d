-- Puts a letter of version 0.2 into the index as well, if none behind it is there.
-- include: count
-- KEYS  1 index, 2 what names of letters begin with, 3 meta
-- ARGV  1 entry, 2 owner, 3 epoch, 4 seq, 5 ms of the letter, 6 ms for which letters are kept, 7 bytes of row and
-- letter,
--       8 counts of accounts, 9 row; "" = it cannot be read, and is passed over, 10 letter
-- Returns nothing.
local index, letters, meta = KEYS[1], KEYS[2], KEYS[3]
local entry, owner, epoch, seq, ms, keep_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local bytes, accounts, shown, letter = ARGV[7], ARGV[8], ARGV[9], ARGV[10]

-- Another process did the same, or the numbers begin anew: whoever reads on is told of a gap.
if tonumber(redis.call('HGET', meta, 'indexed') or '0') >= tonumber(seq) then return end
if redis.call('XREVRANGE', index, '+', entry, 'COUNT', 1)[1] then return end
local time = redis.call('TIME')
local left_ms = ms + keep_ms - tonumber(time[1]) * 1000
if left_ms > 0 and shown ~= '' then
  redis.call('PSETEX', letters .. epoch .. '-' .. entry, string.format('%.0f', left_ms), letter)
  redis.call('XADD', index, entry, 'o', owner, 'e', epoch, 'b', bytes, 'r', shown)
  local kept = kept_of(meta)
  noted(kept, owner, 1, tonumber(bytes))
  settle(meta, accounts, kept)
end
redis.call('HSET', meta, 'indexed', seq)
