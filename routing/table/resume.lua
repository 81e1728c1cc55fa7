-- Gives a session to the node that its client came to.
-- KEYS: session, held.  ARGV: secret, subject, node, boot, life in ms.
-- Answers 0 when there is no such session, 1 when secret or subject are not the
-- session's, else {epoch, old owner, old boot, {field, value, ...}, {held, ...}}.
-- Held replies stay where they are: the new owner removes them as its client
-- acknowledges them, so that they outlive its own death too.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch', 'secret', 'subject')
if not was[1] then
  return 0
end
if not was[4] or was[4] == '' or was[4] ~= ARGV[1] or (was[5] or '') ~= ARGV[2] then
  return 1
end
local epoch = string.format('%.0f', (tonumber(was[3]) or 0) + 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'boot', ARGV[4], 'epoch', epoch, 'state', 'attached')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local fields = redis.call('HGETALL', KEYS[1])
local rows = {}
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 'r:' then
    rows[#rows + 1] = fields[i]
    rows[#rows + 1] = fields[i + 1]
  end
end
return {epoch, was[1], was[2] or '', rows, redis.call('LRANGE', KEYS[2], 0, -1)}
