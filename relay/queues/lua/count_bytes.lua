-- count_bytes(more): adds to the bytes of all entries, which KEYS[2] holds.
local function count_bytes(more)
  local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') + more
  redis.call('SET', KEYS[2], string.format('%.0f', math.max(bytes, 0)))
end
