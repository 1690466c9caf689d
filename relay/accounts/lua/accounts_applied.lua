-- Notes that all of an accounts file is there.
-- KEYS  1 when (Unix ms), 2 digest
-- ARGV  1 token of this application, 2 digest of the file ("" = parts of it could not be applied), 3 seconds for which
--       the digest is believed
-- Returns 0 when Redis has forgotten since the application began, and with it some of the file; else 1.
local applied, digest = KEYS[1], KEYS[2]
local token, fresh, seconds = ARGV[1], ARGV[2], ARGV[3]

local known = redis.call('GET', digest)
if not known then return 0 end
-- Another application has begun since: it is for that one to say that all is there.
if known ~= token and known ~= 'doubted:' .. token then return 1 end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('SET', applied, now_ms)
if known == token and fresh ~= '' then redis.call('SET', digest, fresh .. ':' .. now_ms, 'EX', seconds) end
return 1
