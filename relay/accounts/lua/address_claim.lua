-- Makes a free address an account's. Letters that came before were somebody else's, whoever left them: a former owner,
-- or the domain's.
-- include: empty
-- KEYS  1 address hash, then as of empty.lua
-- ARGV  1 account, 2 as of empty.lua, 3 Unix ms from which letters may be seen ("" = none), then members of the hash
-- Returns "done", "yours" (it is the account's already), "others", or "again": there is more to throw away first.
local address, old_letters, old_ids = KEYS[1], KEYS[8], KEYS[9]
local account, seen_from_ms = ARGV[1], ARGV[3]

local owner = redis.call('HGET', address, 'owner')
if owner then return owner == account and 'yours' or 'others' end
if not empty(seen_from_ms == '' and '+' or '(' .. seen_from_ms .. '-0') then return 'again' end
if seen_from_ms == '' then
  forget_all()
else
  redis.call('XTRIM', old_letters, 'MINID', seen_from_ms)
  redis.call('ZREMRANGEBYRANK', old_ids, 0, -(redis.call('XLEN', old_letters) + 1))
end
redis.call('HSET', address, 'owner', account, unpack(ARGV, 4))
return 'done'
