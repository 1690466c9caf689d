-- Part of scripts that keep an inbox within its limits: sweep(…) forgets what is too old, and what is too much.
-- include: forget
-- KEYS, ARGV  none of its own
-- `kept` as of count.lua, to be settled; `from_ms`: what came before is too old; `most`, `most_bytes`: what may stay,
-- and the newest in any case; `at_once`: rows that are forgotten now at most, so that the time is bounded when a limit
-- was lowered. Afterwards `kept.cut` is the seq of the last that went because of its bytes.
-- Returns when the oldest row came, in ms, or an earlier time; nil = there is none.
local function sweep(index, letters, kept, from_ms, most, most_bytes, at_once)
  local rows, at = {}, 1
  -- Rows may have gone in another way than ours: nothing that fits may go because of a count.
  if kept.letters > most then kept.letters = redis.call('XLEN', index) end
  for _ = 1, at_once do
    if not rows[at] then
      rows, at = redis.call('XRANGE', index, '-', '+', 'COUNT', 2), 1 -- one that goes, as a rule, and one that stays
    end
    local row = rows[at]
    if not row then return nil end
    local ms = tonumber(string.match(row[1], '^%d+'))
    local fits = kept.letters <= most and (kept.bytes <= most_bytes or kept.letters <= 1)
    if ms >= from_ms and fits then return ms end
    if ms >= from_ms and kept.letters <= most then kept.cut = string.match(row[1], '%d+$') end
    forget(index, letters, kept, row)
    at = at + 1
  end
  return from_ms
end
