-- Takes places among the addresses of an account: all of them, or none when its credits do not suffice.
-- KEYS  1 account hash, 2 its addresses
-- ARGV  1 now (Unix ms), then addresses
-- Returns {1, credits, used before} when they are taken, {0, credits, used} when the credits do not suffice,
--         {-1, 0, 0} when there is no such account.
local account, addresses = KEYS[1], KEYS[2]
local now_ms = ARGV[1]

local credits = tonumber(redis.call('HGET', account, 'address_credits') or '-1')
if credits < 0 then return {-1, 0, 0} end
local used, new = redis.call('ZCARD', addresses), 0
for i = 2, #ARGV do
  if not redis.call('ZSCORE', addresses, ARGV[i]) then new = new + 1 end
end
if new > 0 and used + new > credits then return {0, credits, used} end
for i = 2, #ARGV do redis.call('ZADD', addresses, now_ms, ARGV[i]) end
return {1, credits, used}
