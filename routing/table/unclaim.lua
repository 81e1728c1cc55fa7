-- Frees a client's key, unless another request has claimed it since.
-- KEYS: claim.  ARGV: "<request id> ".
local has = redis.call('GET', KEYS[1])
if has and string.sub(has, 1, #ARGV[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
