"""The Lua of addresses.py. Each script touches the keys of one hash tag, and is one atomic step."""

from __future__ import annotations

DONE, YOURS, OTHERS, FREE = b"done", b"yours", b"others", b"free"  # replies of the scripts on an address hash
TAKEN, FULL, NO_ACCOUNT = 1, 0, -1  # replies of TAKE

# KEYS: account, its addresses. ARGV: Unix ms, address, … Replies {TAKEN or not, credits, used}.
TAKE = """
local credits = tonumber(redis.call('HGET', KEYS[1], 'address_credits') or '-1')
if credits < 0 then return {-1, 0, 0} end
local used, new = redis.call('ZCARD', KEYS[2]), 0
for i = 2, #ARGV do
  if not redis.call('ZSCORE', KEYS[2], ARGV[i]) then new = new + 1 end
end
if new > 0 and used + new > credits then return {0, credits, used} end
for i = 2, #ARGV do redis.call('ZADD', KEYS[2], ARGV[1], ARGV[i]) end
return {1, credits, used}
"""

# KEYS: address, letterbox, meta, flags, starred, ids of letters.
# ARGV: account, Unix ms from which letters may be seen ("": none), members.
# Letters that came before were somebody else's, whoever left them: a former owner, or the domain's.
CLAIM = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner then return owner == ARGV[1] and 'yours' or 'others' end
if ARGV[2] == '' then
  redis.call('DEL', unpack(KEYS, 2))
else
  redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
  redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -(redis.call('XLEN', KEYS[2]) + 1))
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], unpack(ARGV, 3))
return 'done'
"""

# KEYS: address. ARGV: account, control channel, notice. The letters stay: CLAIM sees to them.
UNCLAIM = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 'free' end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 'done'
"""

# KEYS: address. ARGV: account, control channel, notice, declared ("" when it is no declaration), members.
UPDATE = """
local owner, was, declared = unpack(redis.call('HMGET', KEYS[1], 'owner', 'enablews', 'declared'))
if owner ~= ARGV[1] then return owner and 'others' or 'free' end
if ARGV[4] ~= '' and declared == ARGV[4] then return 'done' end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
if was == '1' and redis.call('HGET', KEYS[1], 'enablews') ~= '1' then
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 'done'
"""

# KEYS: as of CLAIM. ARGV: account, control channel, notice.
RELEASE = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner ~= ARGV[1] then return owner and 'others' or 'free' end
redis.call('DEL', unpack(KEYS))
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 'done'
"""
