-- include: now, drop
-- Leases the entry that has been due for longest.
--
-- KEYS  1 queue, 2 bytes of all entries
-- ARGV  1 token of the lease, 2 its ms, 3 and on: names of the fields to read
-- Returns {entries, ms until one is due (-1 = there is none)}, or
--         {entries, 0, id, tries, whether it is overdue, value of each field (nil = it has none)}.
-- An entry whose hash is gone (Redis evicted it) is dropped. No more than so many at once, then the caller comes again:
-- nobody else is served by Redis meanwhile.
for _ = 1, 100 do
  local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if not head[1] then return {0, -1} end
  local waiting, wait = redis.call('ZCARD', KEYS[1]), tonumber(head[2]) - now
  if wait > 0 then return {waiting, wait} end
  local entry = KEYS[1] .. ':' .. head[1]
  local values = redis.call('HMGET', entry, 'tries', 'until', unpack(ARGV, 3))
  if values[2] then
    local tries, overdue = tonumber(values[1]) + 1, now >= tonumber(values[2]) and 1 or 0
    redis.call('HSET', entry, 'lease', ARGV[1], 'tries', tries)
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), head[1])
    return {waiting, 0, head[1], tries, overdue, unpack(values, 3)}
  end
  drop(head[1], 0)
end
return {redis.call('ZCARD', KEYS[1]), 0}
