-- Part of scripts that list messages: cut(frame) is the message without what a list does not show.
-- KEYS, ARGV  none of its own
-- In JSON a quote inside a string is escaped, so what is looked for is found between members only; a header may be
-- named "attachments", but the last one is ours.
local function cut(frame)
  local raw = string.find(frame, ',"raw":"', 1, true)
  local size = raw and string.find(frame, '","size":', raw + 8, true)
  local headers = size and string.find(frame, ',"headers":{', size, true)
  if not headers then return frame end
  -- As a rule not much comes after it, and to look from the end of a large text takes longer than all the rest.
  local _, attachments = string.find(frame, '^.*,"attachments":', math.max(headers, #frame - 4096))
  if not attachments then _, attachments = string.find(frame, '^.*,"attachments":', headers) end
  if not attachments then return frame end
  return string.sub(frame, 1, raw - 1) .. string.sub(frame, size + 1, headers - 1)
    .. string.sub(frame, attachments - #',"attachments":' + 1)
end
