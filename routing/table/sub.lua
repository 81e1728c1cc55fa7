-- Notes that a session has subscribed to a key of a topic.
-- KEYS: keys of the topic that somebody has subscribed to; who has to this one.
-- ARGV: key, session, life in ms.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', now + ARGV[3]))
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', key, ARGV[3])
  end
end
return 1
