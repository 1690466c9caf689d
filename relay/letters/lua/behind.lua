-- Part of scripts that read or write the index: is_behind(meta) says whether a process of version 0.2 has kept
-- letters that are not in it; version_0_2.py brings them there.
-- KEYS, ARGV  none of its own
local function is_behind(meta)
  local seq, indexed = unpack(redis.call('HMGET', meta, 'seq', 'indexed'))
  return seq and tonumber(seq) > tonumber(indexed or '0')
end
