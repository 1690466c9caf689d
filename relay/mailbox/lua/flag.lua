-- Sets one flag of a message. Flags of messages that are gone are swept out when they could be half of all.
-- include: find, older
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 _id, 6 "read", "folder", "label" or "unlabel", 7 what to set, 8 labels that a message may
--       have, 9 ms that flags are kept
-- Returns the new flags; "full": too many labels; "gone": there is no such message.
local id, what, value, most_labels, flags_ms = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]

if not find(id) and redis.call('HEXISTS', starred, copy_of(id)) == 0 then return 'gone' end
local lines, known = {}, nil
for line in string.gmatch(redis.call('HGET', flags, id) or '0\ninbox', '[^\n]+') do
  lines[#lines + 1] = line
  if #lines > 2 and line == value then known = #lines end
end
if what == 'read' then
  lines[1] = value
elseif what == 'folder' then
  lines[2] = value
elseif what == 'label' and not known then
  if #lines - 2 >= most_labels then return 'full' end
  lines[#lines + 1] = value
elseif what == 'unlabel' and known then
  table.remove(lines, known)
end
local now = table.concat(lines, '\n')
if now == '0\ninbox' then redis.call('HDEL', flags, id) else redis.call('HSET', flags, id, now) end
local stars = redis.call('HLEN', starred)
if stars > 0 then redis.call('PERSIST', flags) else redis.call('PEXPIRE', flags, flags_ms) end
if redis.call('HLEN', flags) > 2 * (redis.call('XLEN', index) + stars) + 32 then
  local older = letters_begin()
  for _, field in ipairs(redis.call('HKEYS', flags)) do
    if older(field) and redis.call('HEXISTS', starred, copy_of(field)) == 0 then redis.call('HDEL', flags, field) end
  end
end
return now
