-- Part of scripts that change what is kept, and its counts: kept_of(meta) reads them,
-- noted(kept, owner, letters, bytes) adds to what was read, settle(meta, accounts, kept) writes it.
-- KEYS, ARGV  none of its own
-- `meta` is of keys.meta; `accounts` is keys.ACCOUNT_KEPT, with "%s" for the account, or "" on a cluster: there the
-- counts of an account are in another slot, and are the sums over its inboxes.
local function counts(letters, bytes)
  return {known = letters and true, letters = tonumber(letters or '0'), bytes = tonumber(bytes or '0'), changed = {}}
end
local function kept_of(meta)
  return counts(unpack(redis.call('HMGET', meta, 'letters', 'bytes')))
end
local function noted(kept, owner, letters, bytes)
  kept.letters, kept.bytes = kept.letters + letters, kept.bytes + bytes
  local change = kept.changed[owner] or {0, 0}
  kept.changed[owner] = {change[1] + letters, change[2] + bytes}
end
local function count_account(accounts, owner, letters, bytes)
  local from, to = string.find(accounts, '%s', 1, true)
  local kept = string.sub(accounts, 1, from - 1) .. owner .. string.sub(accounts, to + 1)
  if letters ~= 0 and redis.call('HINCRBY', kept, 'letters', letters) <= 0 then
    redis.call('DEL', kept) -- the last letter takes all bytes along
  elseif bytes ~= 0 then
    return redis.call('HINCRBY', kept, 'bytes', string.format('%.0f', bytes))
  end
  return 0
end
-- Returns the bytes of each account whose count has changed, by account.
local function count_accounts(accounts, kept)
  local totals = {}
  if accounts == '' then return totals end
  for owner, change in pairs(kept.changed) do
    totals[owner] = count_account(accounts, owner, change[1], change[2])
  end
  return totals
end
local function settle(meta, accounts, kept)
  if not next(kept.changed) then return end
  if kept.known or kept.letters > 0 then -- else it has expired, and would begin below nothing
    redis.call('HSET', meta, 'letters', kept.letters, 'bytes', string.format('%.0f', kept.bytes))
  end
  count_accounts(accounts, kept)
end
