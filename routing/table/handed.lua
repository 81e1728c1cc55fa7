-- Notes that a process which had a session has handed on all replies that it had for it
-- before a take-over.
-- KEYS: session.  ARGV: boot and node, the epoch of the take-over.
local field = 'past:' .. ARGV[1]
local had = tonumber(string.match(redis.call('HGET', KEYS[1], field) or '', '^%d+'))
if not had or had >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HDEL', KEYS[1], field)
return 1
