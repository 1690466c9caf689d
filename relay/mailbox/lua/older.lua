-- Part of scripts that need the age of messages: letters_begin() looks for the oldest letter, and returns a function
-- that says of an _id whether its message is older than all letters.
-- include: find
-- KEYS, ARGV  none of its own
local function letters_begin()
  local oldest = redis.call('XRANGE', index, number(kept_from_ms), '+', 'COUNT', 1)[1]
  if not oldest then return function() return true end end
  local oldest_ms, oldest_seq = string.match(oldest[1], '^(%d+)%-(%d+)$')
  oldest_ms, oldest_seq = tonumber(oldest_ms), tonumber(oldest_seq)
  return function(id)
    local ms, seq = string.match(id, '%-(%d+)%-(%d+)')
    ms, seq = tonumber(ms), tonumber(seq)
    return ms < oldest_ms or (ms == oldest_ms and seq < oldest_seq)
  end
end
