-- Appends entries to an inbox, as many as there is room for, first ones first.
-- Nothing is ever trimmed: an entry leaves when its owner has settled it.
-- KEYS: inbox.
-- ARGV: how many entries it may have, the owner's boot, then of each entry the epoch
-- under which the owner has the session, and the reply.
-- Answers how many were appended, or -1 when the inbox is not there.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return -1
end
local room = ARGV[1] - redis.call('XLEN', KEYS[1])
local n = 0
for i = 3, #ARGV, 2 do
  if n >= room then
    break
  end
  redis.call('XADD', KEYS[1], '*', 'b', ARGV[2], 'e', ARGV[i], 'r', ARGV[i + 1])
  n = n + 1
end
return n
