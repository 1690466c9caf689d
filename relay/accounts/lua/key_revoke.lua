-- Ends an API key of an account, and tells all processes.
-- KEYS  1 key
-- ARGV  1 account, 2 control channel, 3 notice that the key has ended
-- Returns 1 when the key was the account's and is gone, else 0.
local key = KEYS[1]
local account, control, notice = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', key, 'account') ~= account then return 0 end
redis.call('DEL', key)
redis.call('PUBLISH', control, notice)
return 1
