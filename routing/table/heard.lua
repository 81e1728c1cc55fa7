-- Notes what Kafka has said of a kept request, for those who join it by its key. That it
-- has it stays so.
-- KEYS: session.  ARGV: request id, '1' Kafka has it, '2' it may have it.
local was = redis.call('HMGET', KEYS[1], 'request', 'heard')
if was[1] ~= ARGV[1] or was[2] == '1' then
  return 0
end
return redis.call('HSET', KEYS[1], 'heard', ARGV[2])
