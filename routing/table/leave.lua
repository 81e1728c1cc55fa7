-- Takes a node's name off the table, unless another boot of it has taken it.
-- KEYS: nodes, members, restated, lines.  ARGV: node, boot.
-- Answers 0 when another boot has it, which then has the inbox too.
local member = redis.call('HGET', KEYS[2], ARGV[1])
if member and string.match(member, '^%S+') ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
