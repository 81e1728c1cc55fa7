-- Keeps replies for a session, unless somebody has taken it meanwhile.
-- KEYS: session, held.
-- ARGV: owner, boot ('*' for any) and epoch that the session must have, how many
-- replies and how many bytes may be held, entries: "<n> <record> <reply>" each.
-- A record that is held already is not held twice: the field h:<n> names the
-- records of request n. Of a kept request nothing is held after its outcome, which is
-- an error where more than may be would have to be held.
-- Answers {how many of the entries are held now, how many are in all, and of a kept
-- request 1 where it has its outcome and 2 where it is among these entries}, {-1} when
-- the session is gone, {-2, epoch, owner} when it has moved, {-3} when it is a kept
-- request that was ended.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch', 'held', 'state')
if not was[1] then
  return {-1}
end
if was[1] ~= ARGV[1] or (ARGV[2] ~= '*' and (was[2] or '') ~= ARGV[2]) or (was[3] or '') ~= ARGV[3] then
  return {-2, tonumber(was[3]) or 0, was[1]}
end
local kept, over = was[5] == 'kept', 0
if was[5] == 'ended' then
  return {-3}
elseif was[5] == 'answered' then
  over = 1
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
    if over > 0 then
      break
    end
    if count >= tonumber(ARGV[4]) or bytes + #ARGV[i] > tonumber(ARGV[5]) then
      if kept then
        redis.call('HSET', KEYS[1], 'state', 'ended', 'outcome',
          'too_large unknown false the answer is more than is kept of one request')
      end
      break
    end
    redis.call('RPUSH', KEYS[2], ARGV[i])
    redis.call('HSET', KEYS[1], 'h:' .. request, records .. record .. ' ')
    count, bytes = count + 1, bytes + #ARGV[i]
    -- The reply's second byte has its flags: the lowest says that it is final.
    if kept and string.byte(ARGV[i], #request + #record + 4) % 2 == 1 then
      redis.call('HSET', KEYS[1], 'state', 'answered')
      over = 2
    end
  end
  n = n + 1
end
redis.call('HSET', KEYS[1], 'held', bytes)
local life = redis.call('PTTL', KEYS[1])
if life > 0 then
  redis.call('PEXPIRE', KEYS[2], life)
end
return {n, count, over}
