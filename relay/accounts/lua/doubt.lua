-- For include: notes that something which an accounts file declares has been changed, so that the next start applies
-- the file again. The application that makes the change itself knows of it.
-- digest  key of the digest; nil on a cluster, where none is believed
-- token   of the application of a file that makes the change; "" = somebody else makes it
local function doubt(digest, token)
  local known = digest and redis.call('GET', digest)
  if known and known ~= token and string.sub(known, 1, 8) ~= 'doubted:' then
    redis.call('SET', digest, 'doubted:' .. known)
  end
end
