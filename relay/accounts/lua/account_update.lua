-- Sets the credits of an account.
-- KEYS  1 account hash
-- ARGV  1 address credits
-- Returns 0 when there is no such account, else 1.
local account = KEYS[1]
local credits = ARGV[1]

if redis.call('EXISTS', account) == 0 then return 0 end
redis.call('HSET', account, 'address_credits', credits)
return 1
