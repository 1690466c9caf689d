-- Adds events to the stream of the first key, and each to the stream of its account as well.
-- KEYS  streams
-- ARGV  1 seconds kept, then for each stream how many events are kept, then triples: number of a stream beside the
--       first (1 = none), account, event
local streams = KEYS
local keep_ms = tonumber(ARGV[1]) * 1000

for at = 2 + #streams, #ARGV, 3 do
  local number, account, event = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  redis.call('XADD', streams[1], '*', 'a', account, 'e', event)
  if number > 1 then redis.call('XADD', streams[number], '*', 'a', account, 'e', event) end
end
local time = redis.call('TIME')
local oldest = math.max(tonumber(time[1]) * 1000 - keep_ms, 0)
for number, stream in ipairs(streams) do
  redis.call('XTRIM', stream, 'MAXLEN', '=', ARGV[1 + number])
  redis.call('XTRIM', stream, 'MINID', '=', string.format('%.0f-0', oldest))
  redis.call('PEXPIRE', stream, string.format('%.0f', keep_ms))
end
