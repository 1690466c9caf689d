-- Notes a domain of an account, and the proof that it is asked for.
-- KEYS  1 the account's domains, 2 proof
-- ARGV  1 domain, 2 token, 3 now (Unix ms), 4 limit
-- Returns "done", "there" (it is added already) or "full".
local domains, proof = KEYS[1], KEYS[2]
local domain, token, now_ms, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if redis.call('EXISTS', proof) == 1 then return 'there' end
if redis.call('SCARD', domains) >= limit then return 'full' end
redis.call('SADD', domains, domain)
redis.call('HSET', proof, 'token', token, 'created', now_ms, 'updated', now_ms, 'errors', '')
return 'done'
