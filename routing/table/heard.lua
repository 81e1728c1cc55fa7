-- Notes what Kafka has said of a kept request, for those who join it by its key.
-- KEYS: session.  ARGV: request id, '1' Kafka has it, '2' it may have it.
if redis.call('HGET', KEYS[1], 'request') ~= ARGV[1] then
  return 0
end
return redis.call('HSET', KEYS[1], 'heard', ARGV[2])
