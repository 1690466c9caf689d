-- Undoes address_claim.lua. The letters stay: the next claim sees to them.
-- include: doubt
-- KEYS  1 address hash, 2 digest of the accounts file (not on a cluster)
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended
-- Returns "done", or "free" when it is not the account's.
local address = KEYS[1]
local account, control, notice = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', address, 'owner') ~= account then return 'free' end
if redis.call('HEXISTS', address, 'declared') == 1 then doubt(KEYS[2], '') end
redis.call('DEL', address)
redis.call('PUBLISH', control, notice)
return 'done'
