-- include: count_bytes
-- drop(id, bytes): takes an entry out of the queue KEYS[1]; its hash is gone, or goes.
local function drop(id, bytes)
  redis.call('ZREM', KEYS[1], id)
  count_bytes(-bytes)
  -- Of an entry whose hash Redis evicted nobody knows the bytes. When nothing waits the count is right again.
  if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('SET', KEYS[2], '0') end
end
