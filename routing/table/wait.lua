-- Notes who waits for an event about an entity, as many as there is room for, first
-- ones first. Waits that are over make room.
-- KEYS: waits.
-- ARGV: how many there may be, then of each request its id and how long it waits, in ms.
-- Answers how many of them are noted now.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local count, longest, n = redis.call('HLEN', KEYS[1]), redis.call('PTTL', KEYS[1]), 0
if count + #ARGV / 2 > tonumber(ARGV[1]) then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if (tonumber(all[i + 1]) or 0) < now then
      redis.call('HDEL', KEYS[1], all[i])
      count = count - 1
    end
  end
end
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    if count >= tonumber(ARGV[1]) then
      break
    end
    count = count + 1
  end
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', now + ARGV[i + 1]))
  longest = math.max(longest, tonumber(ARGV[i + 1]))
  n = n + 1
end
if n > 0 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', longest))
end
return n
