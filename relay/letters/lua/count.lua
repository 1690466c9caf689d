-- Part of scripts that change what is kept: count(meta, accounts, owner, letters, bytes) adds to the counts of an
-- inbox and of an account; count_account(accounts, owner, letters, bytes) to those of an account alone.
-- KEYS, ARGV  none of its own
-- `meta` is of keys.meta; `accounts` is keys.ACCOUNT_KEPT, with "%s" for the account, or "" on a cluster: there the
-- counts of an account are in another slot, and are the sums over its inboxes.
local function count_account(accounts, owner, letters, bytes)
  if accounts == '' then return end
  local from, to = string.find(accounts, '%s', 1, true)
  local kept = string.sub(accounts, 1, from - 1) .. owner .. string.sub(accounts, to + 1)
  if redis.call('HINCRBY', kept, 'letters', letters) <= 0 then
    redis.call('DEL', kept) -- the last letter takes all bytes along
  else
    redis.call('HINCRBY', kept, 'bytes', bytes)
  end
end
local function count(meta, accounts, owner, letters, bytes)
  if letters > 0 or redis.call('EXISTS', meta) == 1 then -- else it has expired, and would begin below nothing
    redis.call('HINCRBY', meta, 'letters', letters)
    redis.call('HINCRBY', meta, 'bytes', bytes)
  end
  count_account(accounts, owner, letters, bytes)
end
