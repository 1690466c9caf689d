-- Sets the credits of an account.
-- include: doubt
-- KEYS  1 account hash, 2 digest of the accounts file (not on a cluster)
-- ARGV  1 address credits, 2 token of the file's application ("" = somebody else sets them)
-- Returns 0 when there is no such account, else 1.
local account = KEYS[1]
local credits, token = ARGV[1], ARGV[2]

if redis.call('EXISTS', account) == 0 then return 0 end
if redis.call('HGET', account, 'address_credits') ~= credits then
  doubt(KEYS[2], token)
  redis.call('HSET', account, 'address_credits', credits)
end
return 1
