-- Reads a request of a session that can be resumed, or that is a kept request.
-- KEYS: session, held.  ARGV: n, how many of its replies the asker has, how many
-- bytes of more of them to answer, beyond the first.
-- Answers {} where there is none, else {state, subject, request id of a kept one,
-- row, outcome that is no reply, record key, what Kafka has said (see heard.lua; it has
-- what is replied to), held reply, ...}.
local was = redis.call('HMGET', KEYS[1], 'state', 'subject', 'secret', 'request', 'r:' .. ARGV[1], 'outcome', 'h:' .. ARGV[1], 'key', 'heard')
if not was[1] or not was[4] and (was[3] or '') == '' then
  return {}
end
local answer = {was[1], was[2] or '', was[4] or '', was[5] or '', was[6] or '', was[8] or '', was[9] or ''}
local _, count = string.gsub(was[7] or '', ' ', ' ')
if count > 0 then
  answer[7] = '1'
end
local skip, left = tonumber(ARGV[2]), tonumber(ARGV[3])
if count <= skip then
  return answer
end
local at, bytes = 0, 0
if was[4] then -- all that is held is this request's
  at, skip = skip, 0
end
while true do
  local some = redis.call('LRANGE', KEYS[2], at, at + 15)
  for _, entry in ipairs(some) do
    if string.match(entry, '^%d+') == ARGV[1] then
      if skip > 0 then
        skip = skip - 1
      else
        bytes = bytes + #entry
        if bytes > left and #answer > 7 then
          return answer
        end
        answer[#answer + 1] = entry
      end
    end
  end
  if #some < 16 then
    return answer
  end
  at = at + 16
end
