-- Keeps replies for a session that no live node has attached, unless somebody
-- has taken it meanwhile.
-- KEYS: session, held.
-- ARGV: owner, boot and epoch as they were seen, how many replies and how many bytes may be held, replies.
-- Answers how many were kept, -1 when the session is gone, -2 when it has moved.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch', 'held')
if not was[1] then
  return -1
end
if was[1] ~= ARGV[1] or (was[2] or '') ~= ARGV[2] or (was[3] or '') ~= ARGV[3] then
  return -2
end
local count, bytes, n = redis.call('LLEN', KEYS[2]), tonumber(was[4]) or 0, 0
if count == 0 then
  bytes = 0
end
for i = 6, #ARGV do
  if count >= tonumber(ARGV[4]) or bytes + #ARGV[i] > tonumber(ARGV[5]) then
    break
  end
  redis.call('RPUSH', KEYS[2], ARGV[i])
  count, bytes, n = count + 1, bytes + #ARGV[i], n + 1
end
redis.call('HSET', KEYS[1], 'held', bytes)
local life = redis.call('PTTL', KEYS[1])
if life > 0 then
  redis.call('PEXPIRE', KEYS[2], life)
end
return n
