-- What an inbox holds, of which all letters are the account's.
-- include: find, older
-- KEYS  as of find.lua
-- ARGV  1 account
-- Returns messages, those of them that are read, and those that are starred.
local total, read, stars = redis.call('XLEN', letters), 0, 0
local older = letters_begin()
for _, field in ipairs(redis.call('HKEYS', starred)) do
  local id, owner = string.match(field, '^(%S+) (.*)$')
  if owner == account then
    stars = stars + 1
    if older(id) then total = total + 1 end
  end
end
local marks = redis.call('HGETALL', flags)
for at = 1, #marks, 2 do
  local there = not older(marks[at]) or redis.call('HEXISTS', starred, copy_of(marks[at])) == 1
  if there and string.sub(marks[at + 1], 1, 1) == '1' then read = read + 1 end
end
return {total, read, stars}
