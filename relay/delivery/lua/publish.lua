-- Publishes one message to one inbox, or says why nobody may have it. One atomic step:
-- did it come before -> is the inbox anybody's -> number the message -> put it into the letterbox -> ring the doorbell.
--
-- KEYS  1 address hash, 2 meta hash, 3 letterbox stream, 4 ids of its letters, 5 what this event was stored as (all with
--       hash tag {inbox}); 6 mark of this Redis' history, 7 index of the domain's inboxes: not on a cluster, where they
--       are elsewhere
-- ARGV  1 inbox                    7 bytes above which the doorbell carries no message
--       2 owner of its domain, ""  8 inbox channel
--       3 inbox tag                9 domain channel
--       4 fresh epoch             10 seconds for which the sender may post the event again, 0 = it has no name
--       5 messages kept           11 message JSON without _id; last, because store.py looks there for what is large
--       6 seconds kept
-- Returns {1, _id, owner, processes that listen (on a cluster, of those linked to this node)},
--         {2, _id it was stored under before, owner}, or {0, reason, owner}; an owner is "" when it is not known here.
local retry_seconds = tonumber(ARGV[10])
if retry_seconds > 0 then
  local stored = redis.call('GET', KEYS[5])
  if stored then return {2, stored, redis.call('HGET', KEYS[1], 'owner') or ARGV[2]} end
end

local owner, enabled = unpack(redis.call('HMGET', KEYS[1], 'owner', 'enablews'))
if owner then
  -- A reservation decides alone: its owner's "off" is off, also for those who listen to the whole domain.
  if enabled ~= '1' then return {0, 'forwarding off', owner} end
else
  owner = ARGV[2]
  if owner == '' then return {0, 'not reserved', ''} end
end

-- A Redis that was promoted, or that came back from a snapshot, may lack letters that were answered 200, and would give
-- their numbers to others. Its mark (store.py; on a cluster the node) tells, and another epoch begins.
local mark
if KEYS[6] then mark = redis.call('GET', KEYS[6]) else mark = redis.call('CLUSTER', 'MYID') end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch, seq, ms, known_mark = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'ms', 'mark'))
if not epoch then
  epoch, seq, ms = ARGV[4], 0, 0
  redis.call('DEL', KEYS[3], KEYS[4]) -- letters of a lost epoch: nobody can resume them, and their ids could clash
elseif mark and known_mark and mark ~= known_mark then
  epoch = ARGV[4]
end
seq = tonumber(seq) + 1
ms = math.max(now, tonumber(ms)) -- stream ids must rise although clocks may step back
local entry = string.format('%.0f-%.0f', ms, seq)
local id = ARGV[3] .. epoch .. '-' .. entry
local frame = '{"_id":"' .. id .. '",' .. string.sub(ARGV[11], 2)
local large = #frame > tonumber(ARGV[7])

local kept_ms = tonumber(ARGV[6]) * 1000
redis.call('HSET', KEYS[2], 'epoch', epoch, 'seq', string.format('%.0f', seq), 'ms', string.format('%.0f', ms))
if mark and mark ~= known_mark then redis.call('HSET', KEYS[2], 'mark', mark) end
if large then redis.call('HSET', KEYS[2], 'large', '1') end -- who reads the letterbox takes one letter at a time
-- The counter outlives the letters, so that a listener who comes back late learns that it missed something.
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', math.max(kept_ms * 4, 30 * 86400 * 1000)))
redis.call('XADD', KEYS[3], 'MAXLEN', '=', ARGV[5], entry, 'o', owner, 'm', frame)
redis.call('XTRIM', KEYS[3], 'MINID', '=', string.format('%.0f-0', math.max(now - kept_ms, 0)))
redis.call('PEXPIRE', KEYS[3], string.format('%.0f', kept_ms))
redis.call('ZADD', KEYS[4], string.format('%.0f', seq), id .. ' ' .. owner)
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -(redis.call('XLEN', KEYS[3]) + 1)) -- what went, were the oldest
redis.call('PEXPIRE', KEYS[4], string.format('%.0f', kept_ms))
if retry_seconds > 0 then redis.call('SET', KEYS[5], id, 'EX', retry_seconds) end
if KEYS[7] then
  redis.call('ZADD', KEYS[7], string.format('%.0f', ms), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', string.format('%.0f', now - kept_ms))
  redis.call('PEXPIRE', KEYS[7], string.format('%.0f', kept_ms))
end

local bell = owner .. '\n' .. ARGV[1] .. '\n' .. id .. '\n'
if not large then bell = bell .. frame end
local listening = redis.call('PUBLISH', ARGV[8], bell) + redis.call('PUBLISH', ARGV[9], bell)
return {1, id, owner, listening}
