-- Part of scripts that take letters away: forget(index, letters, kept, row) takes one, and notes it.
-- include: row, count
-- KEYS, ARGV  none of its own
-- `letters` is what names of letters begin with; `kept` as of count.lua, to be settled; `row` is as XRANGE gives it.
-- The letter may be gone before its row: it has an end of its own. UNLINK leaves the work with large ones to another
-- thread of Redis.
local function forget(index, letters, kept, row)
  local fields = row[2]
  redis.call('XDEL', index, row[1])
  redis.call('UNLINK', letters .. fields[EPOCH] .. '-' .. row[1])
  noted(kept, fields[OWNER], -1, -tonumber(fields[BYTES]))
end
