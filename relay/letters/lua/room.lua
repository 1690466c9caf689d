-- Makes room: forgets the oldest letters that an account has in an inbox.
-- include: forget
-- KEYS  1 index, 2 what names of letters begin with, 3 meta hash
-- ARGV  1 account, 2 ms: what came later stays, 3 bytes that are wanted, 4 counts of accounts, as of count.lua
-- Returns {bytes, letters} that are gone, and when its oldest letter there came, in ms: -1 = none is known to be left.
local index, letters, meta = unpack(KEYS)
local account, until_ms, wanted, accounts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local AT_ONCE = 20

local kept, gone, cut = kept_of(meta), {0, 0}, nil
local oldest, left = -1, nil
for _, row in ipairs(redis.call('XRANGE', index, '-', '+', 'COUNT', AT_ONCE)) do
  local ms, mine = tonumber(string.match(row[1], '^%d+')), row[2][OWNER] == account
  left = ms
  if mine and (ms > until_ms or gone[1] >= wanted) then
    oldest = ms
    break
  end
  if mine then
    gone[1], gone[2] = gone[1] + tonumber(row[2][BYTES]), gone[2] + 1
    cut = string.match(row[1], '%d+$')
    forget(index, letters, kept, row)
  end
end
settle(meta, accounts, kept)
if cut then redis.call('HSET', meta, 'cut', cut) end
if oldest < 0 and gone[2] > 0 and redis.call('XLEN', index) > 0 then oldest = left end -- there may be more behind
return {gone[1], gone[2], string.format('%.0f', oldest)}
