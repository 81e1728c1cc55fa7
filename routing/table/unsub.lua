-- Forgets that a session has subscribed to a key of a topic, and the sessions whose
-- subscriptions nobody has prolonged.
-- KEYS: keys of the topic that somebody has subscribed to; who has to this one.
-- ARGV: key, session or ''.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HDEL', KEYS[2], ARGV[2])
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  if (tonumber(all[i + 1]) or 0) < now then
    redis.call('HDEL', KEYS[2], all[i])
  end
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[1], ARGV[1])
end
return 1
