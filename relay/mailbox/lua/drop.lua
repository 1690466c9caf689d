-- Part of scripts that delete messages: drop(id, limit, tombs_ms) deletes a letter.
-- It leaves a tombstone, or whoever resumes would be told that the letter was lost.
-- include: find, delivery/bury
-- KEYS  as of find.lua
-- ARGV  none of its own
-- `limit`: tombstones kept of an inbox and epoch; `tombs_ms`: for how long.
local tombs_of_inbox = KEYS[5]

local function drop(id, limit, tombs_ms)
  local ms, seq = string.match(id, '%-(%d+)%-(%d+)$')
  local tombs = tombs_of_inbox .. string.sub(id, 11, 16)
  redis.call('XDEL', letters, ms .. '-' .. seq)
  redis.call('ZREM', all_ids, copy_of(id))
  bury(tombs, tonumber(seq), tonumber(ms), limit)
  redis.call('PEXPIRE', tombs, tombs_ms)
  redis.call('HDEL', flags, id)
end
