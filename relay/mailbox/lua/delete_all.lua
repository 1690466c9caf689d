-- Deletes some messages of an inbox, oldest first; starred ones stay.
-- include: find, drop
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 where to begin, 6 where to end, 7 tombstones kept of an inbox and epoch, 8 ms that they are
--       kept, 9 bytes of rows after which to pause
-- Returns where to go on; "" at the end.
local at, to, most_tombs, tombs_ms, most_bytes = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local AT_ONCE = 40

if at == '-' then at = number(kept_from_ms) end -- what is too old was not deleted by anybody
local bytes = 0
for _ = 1, AT_ONCE do
  if bytes >= most_bytes then return at end
  local row = redis.call('XRANGE', index, at, to, 'COUNT', 1)[1]
  if not row then return '' end
  at, bytes = '(' .. row[1], bytes + #row[2][SHOWN]
  if row[2][OWNER] == account and redis.call('HEXISTS', starred, copy_of(id_of(row))) == 0 then
    drop(row, most_tombs, tombs_ms)
  end
end
return at
