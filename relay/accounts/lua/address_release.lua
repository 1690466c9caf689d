-- Gives a reserved address up, with all that is kept of its mail.
-- include: empty
-- KEYS  1 address hash, then as of empty.lua
-- ARGV  1 account, 2 as of empty.lua, 3 control channel, 4 notice that its right has ended
-- Returns "done", "others", "free", or "again": there is more to throw away first. Until then it is the account's.
local address = KEYS[1]
local account, control, notice = ARGV[1], ARGV[3], ARGV[4]

local owner = redis.call('HGET', address, 'owner')
if owner ~= account then return owner and 'others' or 'free' end
if not empty('+') then return 'again' end
forget_all()
redis.call('DEL', address)
redis.call('PUBLISH', control, notice)
return 'done'
