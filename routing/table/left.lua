-- Notes that a node has given a session up, and that all its rows are written which it has
-- made by some take-overs in a row. Nodes may say so in another order than they had the
-- session in: what they say waits in the field behind, "<from> <to>, ...", until those before
-- have spoken. One that is dead never does, and the newest eight such tenures are kept.
-- KEYS: session.  ARGV: the first and the last epoch under which the node had it.
local was = redis.call('HMGET', KEYS[1], 'owner', 'left', 'behind')
if not was[1] then
  return 0
end
local left, behind = tonumber(was[2]) or 0, {}
local said = {{tonumber(ARGV[1]), tonumber(ARGV[2])}}
for from, to in string.gmatch(was[3] or '', '(%d+) (%d+)') do
  said[#said + 1] = {tonumber(from), tonumber(to)}
end
table.sort(said, function(a, b) return a[1] < b[1] end)
for _, tenure in ipairs(said) do
  local last = behind[#behind]
  if tenure[1] <= left + 1 then
    left = math.max(left, tenure[2])
  elseif last and tenure[1] <= last[2] + 1 then
    last[2] = math.max(last[2], tenure[2])
  else
    behind[#behind + 1] = tenure
  end
end
local text = {}
for i = math.max(1, #behind - 7), #behind do
  text[#text + 1] = string.format('%.0f %.0f', behind[i][1], behind[i][2])
end
redis.call('HSET', KEYS[1], 'left', string.format('%.0f', left), 'behind', table.concat(text, ', '))
return left
