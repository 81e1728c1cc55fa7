-- Answers the nodes that have not left and were not removed: {node, boot, node, boot, ...}.
-- KEYS: nodes, members.
-- A lease that has lapsed says nothing about its node as long as nobody removed it:
-- when Redis was away they all lapse. What is relayed to one that is dead after all
-- is routed again when it is removed, while what is held for one that lives would
-- not reach its client.
local members = redis.call('HGETALL', KEYS[2])
local answer = {}
for i = 1, #members, 2 do
  answer[i] = members[i]
  answer[i + 1] = string.match(members[i + 1], '^%S+') or ''
end
return answer
