-- Part of scripts that delete messages: drop(row, limit, tombs_ms) deletes a letter.
-- It leaves a tombstone, or whoever resumes would be told that the letter was lost.
-- include: find, delivery/bury
-- KEYS, ARGV  as of find.lua
-- `row` is as XRANGE gives it; `limit`: tombstones kept of an inbox and epoch; `tombs_ms`: for how long.
local function drop(row, limit, tombs_ms)
  local ms, seq = string.match(row[1], '^(%d+)%-(%d+)$')
  local tombs = tombs_of_inbox .. row[2][EPOCH]
  local kept = kept_of(meta)
  forget(index, letters, kept, row)
  settle(meta, accounts, kept)
  bury(tombs, tonumber(seq), tonumber(ms), limit)
  redis.call('PEXPIRE', tombs, tombs_ms)
  redis.call('HDEL', flags, id_of(row))
  redis.call('XDEL', old_letters, row[1])
  redis.call('ZREM', old_ids, copy_of(id_of(row)))
end
