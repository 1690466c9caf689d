-- Takes a domain off an account.
-- include: doubt
-- KEYS  1 the account's domains, 2 proof, 3 digest of the accounts file (not on a cluster)
-- ARGV  1 domain
-- Returns 1 when the account had it, else 0.
local domains, proof = KEYS[1], KEYS[2]
local domain = ARGV[1]

doubt(KEYS[3], '')
redis.call('DEL', proof)
return redis.call('SREM', domains, domain)
