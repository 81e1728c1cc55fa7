-- Forgets the held replies to requests. Clients acknowledge the oldest first, so
-- the search seldom goes far.
-- KEYS: session, held.  ARGV: n of each request.
-- Answers how many replies are still held.
local wanted, left = {}, 0
for _, n in ipairs(ARGV) do
  local records = redis.call('HGET', KEYS[1], 'h:' .. n)
  if records then
    local _, count = string.gsub(records, ' ', ' ')
    wanted[n], left = true, left + count
    redis.call('HDEL', KEYS[1], 'h:' .. n)
  end
end
local at, freed = 0, 0
while left > 0 do
  local some = redis.call('LRANGE', KEYS[2], at, at + 63)
  if #some == 0 then
    break
  end
  for _, entry in ipairs(some) do
    if wanted[string.match(entry, '^%d+')] then
      redis.call('LREM', KEYS[2], 1, entry)
      freed, left = freed + #entry, left - 1
    else
      at = at + 1
    end
  end
end
if freed > 0 then
  redis.call('HINCRBY', KEYS[1], 'held', -freed)
end
return redis.call('LLEN', KEYS[2])
