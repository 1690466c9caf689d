-- Part of scripts that keep an inbox within its limits: sweep(…) forgets what is too old, and what is too much.
-- include: forget
-- KEYS, ARGV  none of its own
-- `from_ms`: what came before is too old; `most`: rows that may stay; `at_once`: rows that are forgotten now at most,
-- so that the time is bounded when a limit was lowered. Returns when the oldest row came, in ms; nil = there is none.
local function sweep(index, letters, meta, accounts, from_ms, most, at_once)
  local over = redis.call('XLEN', index) - most
  for _ = 1, at_once do
    local row = redis.call('XRANGE', index, '-', '+', 'COUNT', 1)[1]
    if not row then return nil end
    local ms = tonumber(string.match(row[1], '^%d+'))
    if ms >= from_ms and over <= 0 then return ms end
    forget(index, letters, meta, accounts, row)
    over = over - 1
  end
  return from_ms
end
