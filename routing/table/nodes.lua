-- Answers the nodes whose leases live: {node, boot, node, boot, ...}.
-- KEYS: nodes, members.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
local answer = {}
for _, node in ipairs(alive) do
  answer[#answer + 1] = node
  answer[#answer + 1] = string.match(redis.call('HGET', KEYS[2], node) or '', '^%S+') or ''
end
return answer
