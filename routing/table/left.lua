-- Notes that a node has given a session up, and that all its rows are written.
-- KEYS: session.  ARGV: the epoch under which the node had it last.
local was = redis.call('HMGET', KEYS[1], 'owner', 'left')
if not was[1] or (tonumber(was[2]) or 0) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'left', ARGV[1])
return 1
