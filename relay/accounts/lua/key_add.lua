-- Makes an API key work, unless somebody has it.
-- KEYS  1 key
-- ARGV  1 account, then members of the hash
-- Returns the account that has the key now.
local key = KEYS[1]
local account = ARGV[1]

local owner = redis.call('HGET', key, 'account') or redis.call('HGET', key, 'owner')
if owner then return owner end
redis.call('HSET', key, unpack(ARGV, 2))
return account
