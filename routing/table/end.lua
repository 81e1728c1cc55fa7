-- Forgets a session, unless another node, or a later boot of this one, has it, or
-- this boot has it again by a later take-over. Of one take-over there is only one
-- process: it may have got another boot since.
-- KEYS: session, held.  ARGV: node, boot, epoch.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch')
local epoch, mine = tonumber(was[3]) or 0, tonumber(ARGV[3])
if was[1] and (was[1] ~= ARGV[1] or (was[2] ~= ARGV[2] and epoch ~= mine) or epoch > mine) then
  return 0
end
return redis.call('DEL', KEYS[1], KEYS[2])
