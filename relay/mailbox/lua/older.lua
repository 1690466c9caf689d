-- Part of scripts that need the age of messages: letters_begin() looks for the oldest letter, and returns a function
-- that says of an _id whether its message is older than all letters.
-- include: find
-- KEYS, ARGV  none of its own
local function letters_begin()
  local oldest
  if all_have_ids() then
    oldest = string.match(redis.call('ZRANGE', all_ids, 0, 0)[1] or '', '%-(%d+%-%d+) ')
  else
    oldest = redis.call('XRANGE', letters, '-', '+', 'COUNT', 1)[1][1]
  end
  local oldest_ms, oldest_seq
  if oldest then
    oldest_ms, oldest_seq = string.match(oldest, '^(%d+)%-(%d+)$')
    oldest_ms, oldest_seq = tonumber(oldest_ms), tonumber(oldest_seq)
  end
  return function(id)
    if not oldest then return true end
    local ms, seq = string.match(id, '%-(%d+)%-(%d+)')
    ms, seq = tonumber(ms), tonumber(seq)
    return ms < oldest_ms or (ms == oldest_ms and seq < oldest_seq)
  end
end
