-- Gives a reserved address up, with all that is kept of its mail.
-- include: doubt
-- KEYS  1 address hash, then all else that there is of the inbox, then the digest of the accounts file (not on a cluster)
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended, 4 how many of the keys are the inbox's
-- Returns "done", "others" or "free".
local address = KEYS[1]
local account, control, notice, of_inbox = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local owner = redis.call('HGET', address, 'owner')
if owner ~= account then return owner and 'others' or 'free' end
if redis.call('HEXISTS', address, 'declared') == 1 then doubt(KEYS[of_inbox + 1], '') end
redis.call('DEL', unpack(KEYS, 1, of_inbox))
redis.call('PUBLISH', control, notice)
return 'done'
