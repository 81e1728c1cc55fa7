-- Records a kept request: a session that nobody owns and nobody can resume.
-- KEYS: session.  ARGV: life in ms, subject, request id, field and value of its row, its
-- record's key if its service is told of its end.
redis.call('HSET', KEYS[1], 'owner', '', 'boot', '', 'epoch', '1', 'state', 'kept', 'secret', '',
  'subject', ARGV[2], 'request', ARGV[3], ARGV[4], ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'key', ARGV[6])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
