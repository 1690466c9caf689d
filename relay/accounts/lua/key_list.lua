-- Notes an API key among those of its account.
-- KEYS  1 the account's keys
-- ARGV  1 key hash, 2 limit (0 = none)
-- Returns 0 when the account has as many as it may, else 1.
local listed = KEYS[1]
local key_hash, limit = ARGV[1], tonumber(ARGV[2])

local new = redis.call('SADD', listed, key_hash)
if new == 0 or limit == 0 or redis.call('SCARD', listed) <= limit then return 1 end
redis.call('SREM', listed, key_hash)
return 0
