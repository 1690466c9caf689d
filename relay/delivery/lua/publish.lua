-- Publishes one message to one inbox, or says why nobody may have it. One atomic step: did it come before -> is the
-- inbox anybody's -> number the message -> keep its letter and its row -> ring the doorbell.
-- include: letters/sweep
--
-- KEYS  1 address hash, 2 meta hash, 3 index, 4 what this event was stored as, 5 what names of letters begin with,
--       6 the letter, if it was brought beside, 7 letterbox of version 0.2, 8 ids of its letters (all with hash tag
--       {inbox}); 9 mark of this Redis' history, 10 index of the domain's inboxes, 11 inboxes with letters that get too
--       old, 12 whether version 0.2 was here within a day: not on a cluster, where they are elsewhere
-- ARGV  1 inbox                    7 inbox channel
--       2 owner of its domain, ""  8 domain channel
--       3 inbox tag                9 seconds for which the sender may post the event again, 0 = it has no name
--       4 fresh epoch             10 counts of accounts, as of letters/count.lua
--       5 messages kept           11 bytes of row and letter
--       6 bytes kept              12 seconds kept
--      13 row
--      14 the message JSON without _id, for version 0.2; "" = it was not here for a day, as far as is known
--      15 letter; "" = it was brought beside
-- Returns {1, _id, owner, processes that listen (on a cluster, of those linked to this node), 1 = 14 is wanted,
--         bytes that the account keeps now (0 on a cluster)},
--         {2, _id it was stored under before, owner}, {0, reason, owner}, or before anything is changed
--         {3, "", ""}: letters of version 0.2 are to be put into the index, {4, "", ""}: the letter beside is gone,
--         {5, "", ""}: version 0.2 was here within a day, and the JSON for it was not brought.
-- An owner is "" when it is not known here.
local address, meta, index, event, letters, beside, old_letters, old_ids = unpack(KEYS)
local lineage, domain_inboxes, due, old_was_here = KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local inbox, domain_owner, inbox_tag, fresh_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keep_messages, keep_bytes, keep_seconds = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[12])
local inbox_channel, domain_channel, retry_seconds = ARGV[7], ARGV[8], tonumber(ARGV[9])
local accounts, bytes, shown, for_old, letter = ARGV[10], ARGV[11], ARGV[13], ARGV[14], ARGV[15]
local SWEPT_AT_ONCE, OLD_INLINE_BYTES = 20, 65536

-- What was brought for nothing must not wait for its end: a sender may bring a lot of it.
local function without_letter(reply)
  if letter == '' then redis.call('UNLINK', beside) end
  return reply
end

if retry_seconds > 0 then
  local stored = redis.call('GET', event)
  if stored then return without_letter({2, stored, redis.call('HGET', address, 'owner') or domain_owner}) end
end

local owner, enabled = unpack(redis.call('HMGET', address, 'owner', 'enablews'))
if owner then
  -- A reservation decides alone: its owner's "off" is off, also for those who listen to the whole domain.
  if enabled ~= '1' then return without_letter({0, 'forwarding off', owner}) end
else
  owner = domain_owner
  if owner == '' then return without_letter({0, 'not reserved', ''}) end
end
-- A Redis that was promoted, or that came back from a snapshot, may lack letters that were answered 200, and would
-- give their numbers to others. Its mark (store/lineage.py; on a cluster the node) tells, and another epoch begins.
-- Who goes back to version 0.2 within a day shall find all mail there.
local mark, for_both
if lineage then
  local found = redis.call('MGET', lineage, old_was_here)
  mark, for_both = found[1], found[2] and true
else
  mark, for_both = redis.call('CLUSTER', 'MYID'), for_old ~= ''
end
local known = redis.call('HMGET', meta, 'epoch', 'seq', 'ms', 'mark', 'indexed', 'letters', 'bytes', 'oldest')
local epoch, seq, ms, known_mark = known[1], tonumber(known[2] or '0'), tonumber(known[3] or '0'), known[4]
local kept, oldest = counts(known[6], known[7]), tonumber(known[8] or '0')
if seq > tonumber(known[5] or '0') then return without_letter({3, '', ''}) end -- those came before this one
if for_both and for_old == '' then return without_letter({5, '', ''}) end
if letter == '' and redis.call('EXISTS', beside) == 0 then return {4, '', ''} end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local kept_ms = keep_seconds * 1000
if not epoch then
  epoch, seq, ms = fresh_epoch, 0, 0
  -- Rows of a lost epoch: nobody can resume them, and their ids could clash.
  sweep(index, letters, kept, math.huge, 0, 0, SWEPT_AT_ONCE)
  -- Not in vain: once a script has written, a full Redis lets it write on.
  if redis.call('EXISTS', index, old_letters, old_ids) > 0 then redis.call('DEL', index, old_letters, old_ids) end
  kept.letters, kept.bytes = 0, 0
elseif mark and known_mark and mark ~= known_mark then
  epoch = fresh_epoch
end
local first_of_minute = kept.letters == 0 or math.floor(now / 60000) ~= math.floor(ms / 60000)
seq = seq + 1
ms = math.max(now, ms) -- stream ids must rise although clocks may step back
local entry = string.format('%.0f-%.0f', ms, seq)
local place = epoch .. '-' .. entry
local id = inbox_tag .. place

local kept_until, at = string.format('%.0f', kept_ms), string.format('%.0f', ms)
if letter == '' then
  redis.call('RENAME', beside, letters .. place)
  redis.call('PEXPIRE', letters .. place, kept_until)
else
  redis.call('PSETEX', letters .. place, kept_until, letter)
end
redis.call('XADD', index, entry, 'o', owner, 'e', epoch, 'b', bytes, 'r', shown)
noted(kept, owner, 1, tonumber(bytes))
-- The hash of the inbox has the time of the oldest row, or an earlier one: as a rule nothing has to be looked for.
local from_ms = now - kept_ms
if kept.letters == 1 or kept.letters > keep_messages or kept.bytes > keep_bytes or oldest < from_ms then
  oldest = sweep(index, letters, kept, from_ms, keep_messages, keep_bytes, SWEPT_AT_ONCE)
end
local number, oldest_at = string.format('%.0f', seq), string.format('%.0f', oldest)
redis.call('HSET', meta, 'epoch', epoch, 'seq', number, 'indexed', number, 'ms', at, 'letters', kept.letters,
  'bytes', string.format('%.0f', kept.bytes), 'oldest', oldest_at)
if mark and mark ~= known_mark then redis.call('HSET', meta, 'mark', mark) end
if kept.cut then redis.call('HSET', meta, 'cut', kept.cut) end
local total = count_accounts(accounts, kept)[owner] or 0
-- The counter outlives the letters, so that a listener who comes back late learns that it missed something.
if first_of_minute then
  redis.call('PEXPIRE', meta, string.format('%.0f', math.max(kept_ms * 4, 30 * 86400 * 1000)))
  if due then redis.call('ZADD', due, string.format('%.0f', oldest + kept_ms + 1), inbox) end
end
if retry_seconds > 0 then redis.call('SET', event, id, 'EX', retry_seconds) end
if domain_inboxes then
  redis.call('ZADD', domain_inboxes, at, inbox)
  if first_of_minute then
    redis.call('ZREMRANGEBYSCORE', domain_inboxes, '-inf', string.format('%.0f', now - kept_ms))
    redis.call('PEXPIRE', domain_inboxes, string.format('%.0f', kept_ms + 60000))
  end
end

-- Processes of version 0.2 do not know this bell, and pass it over. What was brought beside is announced: how much it
-- is, and the token by which the process that brought it knows it.
local carried = letter
if letter == '' then carried = '#' .. bytes .. ' ' .. string.match(beside, '[^:]*$') end
local bell = table.concat({owner, inbox, id, carried}, '\0')
local listening = redis.call('PUBLISH', inbox_channel, bell) + redis.call('PUBLISH', domain_channel, bell)

-- For them all is done once more, as they do it. For processes of now their bell is a repetition.
if for_both then
  local frame = '{"_id":"' .. id .. '",' .. string.sub(for_old, 2)
  local large = #frame > OLD_INLINE_BYTES
  if large then redis.call('HSET', meta, 'large', '1') end
  redis.call('XADD', old_letters, 'MAXLEN', '=', keep_messages, entry, 'o', owner, 'm', frame)
  redis.call('XTRIM', old_letters, 'MINID', '=', string.format('%.0f-0', math.max(now - kept_ms, 0)))
  redis.call('PEXPIRE', old_letters, kept_until)
  redis.call('ZADD', old_ids, number, id .. ' ' .. owner)
  redis.call('ZREMRANGEBYRANK', old_ids, 0, -(redis.call('XLEN', old_letters) + 1))
  redis.call('PEXPIRE', old_ids, kept_until)
  local old_bell = owner .. '\n' .. inbox .. '\n' .. id .. '\n'
  if not large then old_bell = old_bell .. frame end
  redis.call('PUBLISH', inbox_channel, old_bell)
  redis.call('PUBLISH', domain_channel, old_bell)
elseif not lineage then -- the nodes of a cluster do not see all processes: those of version 0.2 tell of a gap at least
  redis.call('PUBLISH', inbox_channel, owner .. '\n' .. inbox .. '\n' .. id .. '\n')
  redis.call('PUBLISH', domain_channel, owner .. '\n' .. inbox .. '\n' .. id .. '\n')
end
return {1, id, owner, listening, for_both and 1 or 0, total}
