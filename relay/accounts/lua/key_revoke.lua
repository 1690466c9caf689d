-- Ends an API key of an account, and tells all processes.
-- include: doubt
-- KEYS  1 key, 2 digest of the accounts file (not on a cluster)
-- ARGV  1 account, 2 control channel, 3 notice that the key has ended, 4 source of keys that a file brings,
--       5 token of the file's application ("" = somebody else revokes it)
-- Returns 1 when the key was the account's and is gone, else 0.
local key = KEYS[1]
local account, control, notice, from_file, token = unpack(ARGV)

local owner = redis.call('HGET', key, 'account') or redis.call('HGET', key, 'owner')
if owner ~= account then return 0 end
if redis.call('HGET', key, 'source') == from_file then doubt(KEYS[2], token) end
redis.call('DEL', key)
redis.call('PUBLISH', control, notice)
return 1
