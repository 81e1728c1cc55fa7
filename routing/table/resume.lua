-- Gives a session to the node that its client came to.
-- KEYS: session, held.
-- ARGV: secret, subject, node, boot, life in ms, a name for this call, the time by
-- this server's clock after which nobody waits for it (0 for none).
-- Answers 0 when there is no such session, 1 when secret or subject are not the
-- session's, 2 when it is too late, else
-- {epoch, old owner, old boot, {field, value, ...}, {held, ...}, older owner, older boot}.
-- The field taken is "<call> <boot> <node>": the newest call, and the last owner that
-- was another. So a call that is sent again raises no epoch, and a node that lost
-- the answer to one call still tells the old owner after the next. The field earlier
-- is "<boot> <node>": the owner before that one, which may have died without telling it.
-- A field "past:<boot> <node>" is there of each owner that may still have replies, with
-- "<its last epoch> <when it lost the session>"; after a minute it is of no interest.
-- Held replies stay where they are: the new owner removes them as its client
-- acknowledges them, so that they outlive its own death too.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
if tonumber(ARGV[7]) > 0 and now > tonumber(ARGV[7]) then
  return 2
end
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch', 'secret', 'subject', 'taken', 'earlier')
if not was[1] then
  return 0
end
if not was[4] or was[4] == '' or was[4] ~= ARGV[1] or (was[5] or '') ~= ARGV[2] then
  return 1
end
local name, boot, node = string.match(was[6] or '', '^(%S+) (%S*) (.*)$')
local olderBoot, olderNode = string.match(was[7] or '', '^(%S*) (.*)$')
if was[1] ~= ARGV[3] or was[2] ~= ARGV[4] then
  olderNode, olderBoot = node, boot
  node, boot = was[1], was[2] or ''
  redis.call('HSET', KEYS[1], 'past:' .. boot .. ' ' .. node, (was[3] or '0') .. ' ' .. string.format('%.0f', now))
end
local epoch = tonumber(was[3]) or 0
if name ~= ARGV[6] then
  epoch = epoch + 1
end
epoch = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'boot', ARGV[4], 'epoch', epoch, 'state', 'attached',
  'taken', ARGV[6] .. ' ' .. (boot or '') .. ' ' .. (node or ''),
  'earlier', (olderBoot or '') .. ' ' .. (olderNode or ''))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local fields = redis.call('HGETALL', KEYS[1])
local rows = {}
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 'r:' or string.sub(fields[i], 1, 2) == 's:' then
    rows[#rows + 1] = fields[i]
    rows[#rows + 1] = fields[i + 1]
  elseif string.sub(fields[i], 1, 5) == 'past:' and now - tonumber(string.match(fields[i + 1], '%d+$')) > 60000 then
    redis.call('HDEL', KEYS[1], fields[i])
  end
end
return {epoch, node or '', boot or '', rows, redis.call('LRANGE', KEYS[2], 0, -1), olderNode or '', olderBoot or ''}
