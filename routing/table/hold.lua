-- Keeps replies for a session, unless somebody has taken it meanwhile.
-- KEYS: session, held.
-- ARGV: owner, boot ('*' for any) and epoch that the session must have, how many
-- replies and how many bytes may be held, entries: "<n> <record> <reply>" each.
-- A record that is held already is not held twice: the field h:<n> names the
-- records of request n.
-- Answers {how many of the entries are held now, how many are in all}, {-1} when
-- the session is gone, {-2, epoch, owner} when it has moved.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch', 'held')
if not was[1] then
  return {-1}
end
if was[1] ~= ARGV[1] or (ARGV[2] ~= '*' and (was[2] or '') ~= ARGV[2]) or (was[3] or '') ~= ARGV[3] then
  return {-2, tonumber(was[3]) or 0, was[1]}
end
local count, bytes, n = redis.call('LLEN', KEYS[2]), tonumber(was[4]) or 0, 0
if count == 0 and bytes > 0 then -- the list was lost
  bytes = 0
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 2) == 'h:' then
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
for i = 6, #ARGV do
  local request, record = string.match(ARGV[i], '^(%d+) (%S+) ')
  local records = redis.call('HGET', KEYS[1], 'h:' .. request) or ''
  if not string.find(' ' .. records, ' ' .. record .. ' ', 1, true) then
    if count >= tonumber(ARGV[4]) or bytes + #ARGV[i] > tonumber(ARGV[5]) then
      break
    end
    redis.call('RPUSH', KEYS[2], ARGV[i])
    redis.call('HSET', KEYS[1], 'h:' .. request, records .. record .. ' ')
    count, bytes = count + 1, bytes + #ARGV[i]
  end
  n = n + 1
end
redis.call('HSET', KEYS[1], 'held', bytes)
local life = redis.call('PTTL', KEYS[1])
if life > 0 then
  redis.call('PEXPIRE', KEYS[2], life)
end
return {n, count}
