-- Creates an account, unless there is one of that id.
-- KEYS  1 account hash
-- ARGV  1 address credits, 2 created (Unix ms)
-- Returns 1 when the account is new, else 0.
local account = KEYS[1]
local credits, created_ms = ARGV[1], ARGV[2]

if redis.call('EXISTS', account) == 1 then return 0 end
redis.call('HSET', account, 'address_credits', credits, 'created', created_ms)
return 1
