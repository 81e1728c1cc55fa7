-- Makes room for kept requests, as far as there is some; those whose time is over go.
-- KEYS: kept.  ARGV: how many there may be, life in ms, sessions.
-- Answers {how many of them are in, how many were over, how many there are}.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local over = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local all, n = redis.call('ZCARD', KEYS[1]), 0
for i = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    if all >= tonumber(ARGV[1]) then
      break
    end
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[i])
    all = all + 1
  end
  n = n + 1
end
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return {n, over, all}
