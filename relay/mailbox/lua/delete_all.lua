-- Deletes some messages of an inbox, oldest first; starred ones stay.
-- include: find, drop
-- KEYS  as of find.lua
-- ARGV  1 account, 2 where to begin, 3 where to end, 4 tombstones kept of an inbox and epoch, 5 ms that they are kept,
--       6 bytes of letters after which to pause
-- Returns where to go on; "" at the end.
local at, to, most_tombs, tombs_ms, most_bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])

if all_have_ids() then
  local after, last = string.match(at, '%-(%d+)$'), string.match(to, '%d+$')
  local some = redis.call('ZRANGEBYSCORE', all_ids, after and '(' .. after or '-inf', last, 'LIMIT', 0, 10)
  for _, member in ipairs(some) do
    local id, owner = string.match(member, '^(%S+) (.*)$')
    at = '(' .. string.match(id, '%d+%-%d+$')
    if owner == account and redis.call('HEXISTS', starred, member) == 0 then drop(id, most_tombs, tombs_ms) end
  end
  return #some == 10 and at or ''
end
local bytes = 0
for _ = 1, 200 do
  if bytes >= most_bytes then return at end
  local row = redis.call('XRANGE', letters, at, to, 'COUNT', 1)[1]
  if not row then return '' end
  at, bytes = '(' .. row[1], bytes + #row[2][4]
  local id = id_of(row[2][4])
  if id and row[2][2] == account and redis.call('HEXISTS', starred, copy_of(id)) == 0 then
    drop(id, most_tombs, tombs_ms)
  end
end
return at
