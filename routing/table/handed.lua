-- Notes that a process which had a session has handed on all replies that it had for it.
-- KEYS: session.  ARGV: boot and node, the epoch under which it had the session last.
local field = 'past:' .. ARGV[1]
if string.match(redis.call('HGET', KEYS[1], field) or '', '^%d+') ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], field)
return 1
