-- Ends an account's ownership of a domain, and tells all processes.
-- include: doubt
-- KEYS  1 domain hash, 2 digest of the accounts file (not on a cluster)
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended
-- Returns 1 when the domain was the account's, else 0.
local domain = KEYS[1]
local account, control, notice = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', domain, 'owner') ~= account then return 0 end
doubt(KEYS[2], '')
redis.call('DEL', domain)
redis.call('PUBLISH', control, notice)
return 1
