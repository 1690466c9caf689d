-- Makes a domain an account's, unless somebody owns it. "since" is by Redis' own clock, like the ids of letters.
-- KEYS  1 domain hash
-- ARGV  1 account, 2 source: file or dns
-- Returns the owner.
local domain = KEYS[1]
local account, source = ARGV[1], ARGV[2]

local owner = redis.call('HGET', domain, 'owner')
if owner then return owner end
local time = redis.call('TIME')
local since = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', domain, 'owner', account, 'since', since, 'source', source)
return account
