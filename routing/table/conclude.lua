-- Gives a kept request an outcome that is no reply, unless it has one.
-- KEYS: session.  ARGV: subject, request id, the outcome, life in ms from now (0 for as
-- it is).
-- Answers 0 when there is no such request, 2 when it has its outcome, else 1.
local was = redis.call('HMGET', KEYS[1], 'state', 'subject', 'request')
if was[3] ~= ARGV[2] or was[2] ~= ARGV[1] then
  return 0
end
if was[1] ~= 'kept' then
  return 2
end
redis.call('HSET', KEYS[1], 'state', 'ended', 'outcome', ARGV[3])
if tonumber(ARGV[4]) > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
