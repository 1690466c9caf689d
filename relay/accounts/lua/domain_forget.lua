-- Takes a domain off an account.
-- KEYS  1 the account's domains, 2 proof
-- ARGV  1 domain
-- Returns 1 when the account had it, else 0.
local domains, proof = KEYS[1], KEYS[2]
local domain = ARGV[1]

redis.call('DEL', proof)
return redis.call('SREM', domains, domain)
