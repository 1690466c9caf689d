-- Has an API key of an account stop to work, or work again, and tells all processes.
-- KEYS  1 key
-- ARGV  1 account, 2 control channel, 3 notice that its right has ended, 4 whether it stops: 1 or 0
-- A key that does not work has no member "account", see rights.py; one that may less than its account never has it.
-- Returns 1 when the key is the account's, else 0.
local key = KEYS[1]
local account, control, notice, stops = unpack(ARGV)

local works = redis.call('HGET', key, 'account')
if (works or redis.call('HGET', key, 'owner')) ~= account then return 0 end
if stops == '1' then
  redis.call('HSET', key, 'owner', account, 'suspended', '1')
  if works then
    redis.call('HSET', key, 'whole', '1')
    redis.call('HDEL', key, 'account')
  end
  redis.call('PUBLISH', control, notice)
  return 1
end
if redis.call('HGET', key, 'whole') then redis.call('HSET', key, 'account', account) end
redis.call('HDEL', key, 'suspended', 'whole')
return 1
