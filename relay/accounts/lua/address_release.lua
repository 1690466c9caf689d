-- Gives a reserved address up, with all that is kept of its mail.
-- include: empty, doubt
-- KEYS  1 address hash, then as of empty.lua, 10 the digest of the accounts file (not on a cluster)
-- ARGV  1 account, 2 as of empty.lua, 3 control channel, 4 notice that its right has ended
-- Returns "done", "others", "free", or "again": there is more to throw away first. Until then it is the account's.
local address, digest = KEYS[1], KEYS[10]
local account, control, notice = ARGV[1], ARGV[3], ARGV[4]

local owner = redis.call('HGET', address, 'owner')
if owner ~= account then return owner and 'others' or 'free' end
if not empty('+') then return 'again' end
forget_all()
if redis.call('HEXISTS', address, 'declared') == 1 then doubt(digest, '') end
redis.call('DEL', address)
redis.call('PUBLISH', control, notice)
return 'done'
