-- Publishes one message to one inbox, or says why nobody may have it. One atomic step:
-- did it come before -> is the inbox anybody's -> number the message -> put it into the letterbox -> ring the doorbell.
--
-- KEYS  1 address hash, 2 meta hash, 3 letterbox stream, 4 ids of its letters, 5 what this event was stored as (all
--       with hash tag {inbox}); 6 mark of this Redis' history, 7 index of the domain's inboxes: not on a cluster, where
--       they are elsewhere
-- ARGV  1 inbox                    7 bytes above which the doorbell carries no message
--       2 owner of its domain, ""  8 inbox channel
--       3 inbox tag                9 domain channel
--       4 fresh epoch             10 seconds for which the sender may post the event again, 0 = it has no name
--       5 messages kept           11 message JSON without _id; last, because the store looks there for what is large
--       6 seconds kept
-- Returns {1, _id, owner, processes that listen (on a cluster, of those linked to this node)},
--         {2, _id it was stored under before, owner}, or {0, reason, owner}; an owner is "" when it is not known here.
local address, meta, letters, ids, event, lineage, domain_inboxes = unpack(KEYS)
local inbox, domain_owner, inbox_tag, fresh_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keep_messages, keep_seconds, inline_bytes = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local inbox_channel, domain_channel, retry_seconds = ARGV[8], ARGV[9], tonumber(ARGV[10])
local message = ARGV[11]

if retry_seconds > 0 then
  local stored = redis.call('GET', event)
  if stored then return {2, stored, redis.call('HGET', address, 'owner') or domain_owner} end
end

local owner, enabled = unpack(redis.call('HMGET', address, 'owner', 'enablews'))
if owner then
  -- A reservation decides alone: its owner's "off" is off, also for those who listen to the whole domain.
  if enabled ~= '1' then return {0, 'forwarding off', owner} end
else
  owner = domain_owner
  if owner == '' then return {0, 'not reserved', ''} end
end

-- A Redis that was promoted, or that came back from a snapshot, may lack letters that were answered 200, and would give
-- their numbers to others. Its mark (store/lineage.py; on a cluster the node) tells, and another epoch begins.
local mark
if lineage then mark = redis.call('GET', lineage) else mark = redis.call('CLUSTER', 'MYID') end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch, seq, ms, known_mark = unpack(redis.call('HMGET', meta, 'epoch', 'seq', 'ms', 'mark'))
if not epoch then
  epoch, seq, ms = fresh_epoch, 0, 0
  redis.call('DEL', letters, ids) -- letters of a lost epoch: nobody can resume them, and their ids could clash
elseif mark and known_mark and mark ~= known_mark then
  epoch = fresh_epoch
end
seq = tonumber(seq) + 1
ms = math.max(now, tonumber(ms)) -- stream ids must rise although clocks may step back
local entry = string.format('%.0f-%.0f', ms, seq)
local id = inbox_tag .. epoch .. '-' .. entry
local frame = '{"_id":"' .. id .. '",' .. string.sub(message, 2)
local large = #frame > inline_bytes

local kept_ms = keep_seconds * 1000
redis.call('HSET', meta, 'epoch', epoch, 'seq', string.format('%.0f', seq), 'ms', string.format('%.0f', ms))
if mark and mark ~= known_mark then redis.call('HSET', meta, 'mark', mark) end
if large then redis.call('HSET', meta, 'large', '1') end -- who reads the letterbox takes one letter at a time
-- The counter outlives the letters, so that a listener who comes back late learns that it missed something.
redis.call('PEXPIRE', meta, string.format('%.0f', math.max(kept_ms * 4, 30 * 86400 * 1000)))
redis.call('XADD', letters, 'MAXLEN', '=', keep_messages, entry, 'o', owner, 'm', frame)
redis.call('XTRIM', letters, 'MINID', '=', string.format('%.0f-0', math.max(now - kept_ms, 0)))
redis.call('PEXPIRE', letters, string.format('%.0f', kept_ms))
redis.call('ZADD', ids, string.format('%.0f', seq), id .. ' ' .. owner)
redis.call('ZREMRANGEBYRANK', ids, 0, -(redis.call('XLEN', letters) + 1)) -- what went, were the oldest
redis.call('PEXPIRE', ids, string.format('%.0f', kept_ms))
if retry_seconds > 0 then redis.call('SET', event, id, 'EX', retry_seconds) end
if domain_inboxes then
  redis.call('ZADD', domain_inboxes, string.format('%.0f', ms), inbox)
  redis.call('ZREMRANGEBYSCORE', domain_inboxes, '-inf', string.format('%.0f', now - kept_ms))
  redis.call('PEXPIRE', domain_inboxes, string.format('%.0f', kept_ms))
end

local bell = owner .. '\n' .. inbox .. '\n' .. id .. '\n'
if not large then bell = bell .. frame end
local listening = redis.call('PUBLISH', inbox_channel, bell) + redis.call('PUBLISH', domain_channel, bell)
return {1, id, owner, listening}
