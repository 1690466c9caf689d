-- Part of scripts that change what is kept: count(meta, accounts, owner, letters, bytes) adds to the counts of an
-- inbox and of an account.
-- KEYS, ARGV  none of its own
-- `meta` is of keys.meta; `accounts` is keys.ACCOUNT_KEPT, with "%s" for the account, or "" on a cluster: there the
-- counts of an account are in another slot, and are the sums over its inboxes.
local function count(meta, accounts, owner, letters, bytes)
  if tonumber(letters) > 0 or redis.call('EXISTS', meta) == 1 then -- else it has expired, and would begin below nothing
    redis.call('HINCRBY', meta, 'letters', letters)
    redis.call('HINCRBY', meta, 'bytes', bytes)
  end
  if accounts == '' then return end
  local kept = string.gsub(accounts, '%%s', function() return owner end)
  if redis.call('HINCRBY', kept, 'letters', letters) <= 0 then
    redis.call('DEL', kept) -- the last letter takes all bytes along
  else
    redis.call('HINCRBY', kept, 'bytes', bytes)
  end
end
