-- Sets members of a reserved address, and tells all processes when its mail is switched off by that.
-- include: doubt
-- KEYS  1 address hash, 2 digest of the accounts file (not on a cluster)
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended, 4 what the operator's file declares
--       ("" = this is no declaration), 5 token of the file's application, then members of the hash
-- Returns "done", "others" or "free". Nothing is set when it is declared so already.
local address = KEYS[1]
local account, control, notice, declaration, token = unpack(ARGV, 1, 5)

local owner, was_on, declared = unpack(redis.call('HMGET', address, 'owner', 'enablews', 'declared'))
if owner ~= account then return owner and 'others' or 'free' end
if declaration ~= '' then
  if declared == declaration then return 'done' end
  doubt(KEYS[2], token)
end
redis.call('HSET', address, unpack(ARGV, 6))
if was_on == '1' and redis.call('HGET', address, 'enablews') ~= '1' then
  redis.call('PUBLISH', control, notice)
end
return 'done'
