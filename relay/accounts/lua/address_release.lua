-- Gives a reserved address up, with all that is kept of its mail.
-- KEYS  1 address hash, then all else that there is of the inbox
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended
-- Returns "done", "others" or "free".
local address = KEYS[1]
local account, control, notice = ARGV[1], ARGV[2], ARGV[3]

local owner = redis.call('HGET', address, 'owner')
if owner ~= account then return owner and 'others' or 'free' end
redis.call('DEL', unpack(KEYS))
redis.call('PUBLISH', control, notice)
return 'done'
