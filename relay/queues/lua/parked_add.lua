-- Parks a post once for its id; the oldest make room.
--
-- KEYS  1 stream, 2 bytes of all entries and bodies, 3 body of this one
-- ARGV  1 entries kept, 2 bytes kept, 3 id, 4 provider ("sender" in Redis, as in version 0.1), 5 received (ms),
--       6 reason, 7 headers, 8 bytes of the body, 9 bytes that it counts for, 10 body
-- Returns how many older ones it displaced.
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('SET', KEYS[3], ARGV[10])
redis.call('XADD', KEYS[1], '*', 'id', ARGV[3], 'sender', ARGV[4], 'received', ARGV[5], 'reason', ARGV[6],
           'headers', ARGV[7], 'size', ARGV[8], 'weight', ARGV[9])
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') + tonumber(ARGV[9])
local displaced = 0
while redis.call('XLEN', KEYS[1]) > tonumber(ARGV[1]) or bytes > tonumber(ARGV[2]) do
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  local fields = {}
  for at = 1, #oldest[2], 2 do fields[oldest[2][at]] = oldest[2][at + 1] end
  if fields['id'] == ARGV[3] then bytes = tonumber(ARGV[9]) break end
  redis.call('DEL', KEYS[1] .. ':' .. fields['id'])
  redis.call('XDEL', KEYS[1], oldest[1])
  bytes = bytes - tonumber(fields['weight'])
  displaced = displaced + 1
end
redis.call('SET', KEYS[2], string.format('%.0f', bytes))
return displaced
