-- Sets members of a reserved address, and tells all processes when its mail is switched off by that.
-- KEYS  1 address hash
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended, 4 what the operator's file declares
--       ("" = this is no declaration), then members of the hash
-- Returns "done", "others" or "free". Nothing is set when it is declared so already.
local address = KEYS[1]
local account, control, notice, declaration = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local owner, was_on, declared = unpack(redis.call('HMGET', address, 'owner', 'enablews', 'declared'))
if owner ~= account then return owner and 'others' or 'free' end
if declaration ~= '' and declared == declaration then return 'done' end
redis.call('HSET', address, unpack(ARGV, 5))
if was_on == '1' and redis.call('HGET', address, 'enablews') ~= '1' then
  redis.call('PUBLISH', control, notice)
end
return 'done'
