-- Claims a client's key for a request, unless another one has it.
-- KEYS: claim.  ARGV: "<request id> <digest>", life in ms, the time by this server's
-- clock after which nobody waits for the answer (0 for none).
-- Answers what the claim says now, or '' when it is too late.
local has = redis.call('GET', KEYS[1])
if has then
  return has
end
local now = redis.call('TIME')
if tonumber(ARGV[3]) > 0 and now[1] * 1000 + math.floor(now[2] / 1000) > tonumber(ARGV[3]) then
  return ''
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
