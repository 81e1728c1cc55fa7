-- Forgets a session, unless another node, or a later boot of this one, has it.
-- KEYS: session, held.  ARGV: node, boot.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot')
if was[1] and (was[1] ~= ARGV[1] or was[2] ~= ARGV[2]) then
  return 0
end
return redis.call('DEL', KEYS[1], KEYS[2])
