-- Renews a node's lease, by this server's clock, so that nodes' clocks do not
-- matter. Both keys share the hash tag {parley:nodes}.
-- KEYS: nodes, members.  ARGV: node, lease in ms, boot, what the lease carries.
-- Answers {1 if the node had no lease in the table, 1 if another boot holds a living one}.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local expires = redis.call('ZSCORE', KEYS[1], ARGV[1])
local member = redis.call('HGET', KEYS[2], ARGV[1])
local rival = 0
if expires and member and tonumber(expires) > now and string.match(member, '^%S+') ~= ARGV[3] then
  rival = 1
end
local record = ARGV[3] .. ' ' .. ARGV[4]
if member ~= record then
  redis.call('HSET', KEYS[2], ARGV[1], record)
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
return {expires and 0 or 1, rival}
