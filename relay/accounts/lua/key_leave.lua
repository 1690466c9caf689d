-- Marks a key of an account as one that is being revoked, if one of some others is left.
-- KEYS  1 the account's keys
-- ARGV  1 key hash, 2 its mark, then the hashes of which one must be left (its own: none must)
-- Returns 0 when none would be left, else 1. Also who comes second is answered 1: the key has the mark, or is gone.
local listed = KEYS[1]
local key_hash, mark = ARGV[1], ARGV[2]

if redis.call('SISMEMBER', listed, key_hash) == 0 then return 1 end
for i = 3, #ARGV do
  if redis.call('SISMEMBER', listed, ARGV[i]) == 1 then
    redis.call('SREM', listed, key_hash)
    redis.call('SADD', listed, mark)
    return 1
  end
end
return 0
