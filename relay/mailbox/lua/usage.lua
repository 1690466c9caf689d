-- What an account's letters in an inbox come to.
-- include: find
-- KEYS  as of find.lua
-- ARGV  from find.lua on: 5 Unix ms, what came before may be somebody else's
-- Returns letters, and bytes of rows and letters; {-1}: there is more that is too old and has to go first.
local since_ms = tonumber(ARGV[5])
local SWEPT_AT_ONCE = 20

local kept = kept_of(meta)
sweep(index, letters, kept, kept_from_ms, math.huge, math.huge, SWEPT_AT_ONCE)
settle(meta, accounts, kept)
if redis.call('XRANGE', index, '-', number(kept_from_ms - 1), 'COUNT', 1)[1] then return {-1} end
local messages, bytes = kept.letters, kept.bytes
local at = '-'
while since_ms > 0 do
  local row = redis.call('XRANGE', index, at, number(since_ms - 1), 'COUNT', 1)[1]
  if not row then break end
  if row[2][OWNER] ~= account then messages, bytes = messages - 1, bytes - tonumber(row[2][BYTES]) end
  at = '(' .. row[1]
end
return {messages, bytes}
