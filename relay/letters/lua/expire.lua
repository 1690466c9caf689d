-- Forgets what is too old in an inbox, and says when to come again.
-- include: sweep
-- KEYS  1 index, 2 what names of letters begin with, 3 meta, 4 inboxes with letters that get too old: not on a
-- cluster
-- ARGV  1 inbox, 2 messages kept, 3 bytes kept, 4 ms for which they are kept, 5 counts of accounts, as of count.lua
-- Returns when the oldest letter will be too old, Unix ms; 0 = there is none.
local index, letters, meta, due = unpack(KEYS)
local inbox, keep_messages, keep_bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local keep_ms, accounts = tonumber(ARGV[4]), ARGV[5]
local SWEPT_AT_ONCE = 20

local time = redis.call('TIME')
local from_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - keep_ms
local kept = kept_of(meta)
local oldest = sweep(index, letters, kept, from_ms, keep_messages, keep_bytes, SWEPT_AT_ONCE)
settle(meta, accounts, kept)
if kept.cut and kept.known then redis.call('HSET', meta, 'cut', kept.cut) end
-- One millisecond later: what came then may stay so long.
local at = oldest and string.format('%.0f', oldest + keep_ms + 1)
if due then
  if at then redis.call('ZADD', due, at, inbox) else redis.call('ZREM', due, inbox) end
end
return at or '0'
