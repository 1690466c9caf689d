-- Part of scripts that delete letters: bury(name, seq, ms, limit) notes one as deleted, see tombstones.py.
-- KEYS, ARGV  none of its own
-- `name` is of keys.deleted, a sorted set of "<first>-<last>-<ms of the first>" by the first. Beyond `limit` ranges the
-- oldest go. As many as there are letters, and two, tell all: before a letter that is lost, there is a gap anyhow.
local function bury(name, seq, ms, limit)
  local first, last, first_ms = seq, seq, ms
  local below = redis.call('ZREVRANGEBYSCORE', name, seq, '-inf', 'LIMIT', 0, 1)[1]
  if below then
    local from, to, from_ms = string.match(below, '^(%d+)%-(%d+)%-(%d+)$')
    if tonumber(to) >= seq then return end
    if tonumber(to) == seq - 1 then
      redis.call('ZREM', name, below)
      first, first_ms = tonumber(from), tonumber(from_ms)
    end
  end
  local above = redis.call('ZRANGEBYSCORE', name, seq + 1, seq + 1)[1]
  if above then
    redis.call('ZREM', name, above)
    last = tonumber(string.match(above, '^%d+%-(%d+)'))
  end
  redis.call('ZADD', name, first, string.format('%.0f-%.0f-%.0f', first, last, first_ms))
  redis.call('ZREMRANGEBYRANK', name, 0, -(limit + 1))
end
