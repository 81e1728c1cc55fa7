-- Tells a node something, however full its inbox is.
-- KEYS: inbox.  ARGV: the node's boot, the notice.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('XADD', KEYS[1], '*', 'b', ARGV[1], 'k', ARGV[2])
return 1
