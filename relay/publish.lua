-- Publishes one message to one inbox, or says why nobody may have it. One atomic step:
-- is the inbox anybody's -> number the message -> put it into the letterbox -> ring the doorbell.
--
-- KEYS  address hash, meta hash, letterbox stream; all with the hash tag {inbox}
-- ARGV  1 inbox
--       2 owner of its domain, ""  6 seconds kept
--       3 inbox tag                7 bytes above which the doorbell carries no message
--       4 fresh epoch              8 inbox channel
--       5 messages kept            9 domain channel    10 message JSON without _id
-- Returns {1, _id} or {0, reason}.
local owner, enabled = unpack(redis.call('HMGET', KEYS[1], 'owner', 'enablews'))
if owner then
  -- A reservation decides alone: its owner's "off" is off, also for those who listen to the whole domain.
  if enabled ~= '1' then return {0, 'forwarding off'} end
else
  owner = ARGV[2]
  if owner == '' then return {0, 'not reserved'} end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch, seq, ms = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'ms'))
if not epoch then
  epoch, seq, ms = ARGV[4], 0, 0
  redis.call('DEL', KEYS[3]) -- letters of a lost epoch: nobody can resume them, and their ids could clash
end
seq = tonumber(seq) + 1
ms = math.max(now, tonumber(ms)) -- stream ids must rise although clocks may step back
local entry = string.format('%.0f-%.0f', ms, seq)
local id = ARGV[3] .. epoch .. '-' .. entry
local frame = '{"_id":"' .. id .. '",' .. string.sub(ARGV[10], 2)

local kept_ms = tonumber(ARGV[6]) * 1000
redis.call('HSET', KEYS[2], 'epoch', epoch, 'seq', string.format('%.0f', seq), 'ms', string.format('%.0f', ms))
-- The counter outlives the letters, so that a listener who comes back late learns that it missed something.
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', math.max(kept_ms * 4, 30 * 86400 * 1000)))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], entry, 'm', frame)
redis.call('XTRIM', KEYS[3], 'MINID', '~', string.format('%.0f-0', math.max(ms - kept_ms, 0)))
redis.call('PEXPIRE', KEYS[3], string.format('%.0f', kept_ms))

local bell = owner .. '\n' .. ARGV[1] .. '\n' .. entry .. '\n'
if #frame <= tonumber(ARGV[7]) then bell = bell .. frame end
redis.call('PUBLISH', ARGV[8], bell)
redis.call('PUBLISH', ARGV[9], bell)
return {1, id}
