-- Sets members of the proof that an account is asked for.
-- KEYS  1 proof
-- ARGV  members of the hash
-- Returns 0 when the proof is gone, because the domain was removed meanwhile; else 1.
local proof = KEYS[1]

if redis.call('EXISTS', proof) == 0 then return 0 end
redis.call('HSET', proof, unpack(ARGV))
return 1
