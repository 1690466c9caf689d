-- Makes a free address an account's. Letters that came before were somebody else's, whoever left them: a former owner,
-- or the domain's.
-- KEYS  1 address hash, 2 letterbox, 3 meta, 4 flags, 5 starred, 6 ids of letters
-- ARGV  1 account, 2 Unix ms from which letters may be seen ("" = none), then members of the hash
-- Returns "done", "yours" (it is the account's already) or "others".
local address, letters, ids = KEYS[1], KEYS[2], KEYS[6]
local account, seen_from_ms = ARGV[1], ARGV[2]

local owner = redis.call('HGET', address, 'owner')
if owner then return owner == account and 'yours' or 'others' end
if seen_from_ms == '' then
  redis.call('DEL', unpack(KEYS, 2))
else
  redis.call('XTRIM', letters, 'MINID', seen_from_ms)
  redis.call('ZREMRANGEBYRANK', ids, 0, -(redis.call('XLEN', letters) + 1))
end
redis.call('HSET', address, 'owner', account, unpack(ARGV, 3))
return 'done'
