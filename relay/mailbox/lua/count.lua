-- What an inbox holds.
-- include: find, older
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 Unix ms, what came before may be somebody else's
-- Returns messages, those of them that are read, and those that are starred; {-1}: there is more that is too old and
-- has to go first; {-2}: some may be somebody else's.
local since_ms = tonumber(ARGV[5])
local SWEPT_AT_ONCE = 20

local kept = kept_of(meta)
local oldest = sweep(index, letters, kept, kept_from_ms, math.huge, math.huge, SWEPT_AT_ONCE)
settle(meta, accounts, kept)
if redis.call('XRANGE', index, '-', number(kept_from_ms - 1), 'COUNT', 1)[1] then return {-1} end
if oldest and oldest < since_ms then return {-2} end
local total, read, stars = redis.call('XLEN', index), 0, 0
if redis.call('EXISTS', flags, starred) == 0 then return {total, read, stars} end
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
