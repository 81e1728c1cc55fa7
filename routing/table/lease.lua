-- Renews a node's lease, by this server's clock, so that nodes' clocks do not
-- matter; removes the nodes whose leases have ended; and hands out the graves
-- that nobody looks after. All keys share the hash tag {parley:nodes}.
-- KEYS: nodes, members, removed, graves.
-- ARGV: node, lease in ms, boot, what the lease carries, 'first' for a boot's first
-- renewal, 'remove' if the node has had its lease for long enough to judge others.
-- Answers {time, end of the lease so far or '', 'removed', 'rival' or '',
-- {node, record, ...} for all, {node, record, ...} that left, {grave, ...} for this node}.
local node, boot = ARGV[1], ARGV[3]
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local time = string.format('%.0f', now)
if redis.call('HEXISTS', KEYS[3], boot .. ' ' .. node) == 1 then
  return {time, '', 'removed', {}, {}, {}}
end

local function bootOf(record)
  return string.match(record or '', '^%S+') or ''
end

local expires, record, word = redis.call('ZSCORE', KEYS[1], node), redis.call('HGET', KEYS[2], node), ''
local held = expires and tonumber(expires) > now
local left = {}
if record and bootOf(record) ~= boot then
  if ARGV[5] == 'first' then -- this name's process before, which did not leave
    left = {node, record}
    if not held then
      redis.call('HSET', KEYS[3], bootOf(record) .. ' ' .. node, time)
    end
  elseif held then
    word = 'rival'
  end
end
redis.call('HSET', KEYS[2], node, boot .. ' ' .. ARGV[4])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), node)

if ARGV[6] == 'remove' and held then
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time)) do
    record = redis.call('HGET', KEYS[2], dead) or ''
    redis.call('ZREM', KEYS[1], dead)
    redis.call('HDEL', KEYS[2], dead)
    redis.call('HSET', KEYS[3], bootOf(record) .. ' ' .. dead, time)
    redis.call('HSET', KEYS[4], bootOf(record) .. ' ' .. dead, '')
    left[#left + 1] = dead
    left[#left + 1] = record
  end
end
if #left > 0 then -- a process that slept for a day has no session left that it could harm
  local removed = redis.call('HGETALL', KEYS[3])
  for i = 1, #removed, 2 do
    if now - tonumber(removed[i + 1]) > 86400000 then
      redis.call('HDEL', KEYS[3], removed[i])
    end
  end
end

local members = redis.call('HGETALL', KEYS[2])
local living = {}
for i = 2, #members, 2 do
  living[bootOf(members[i])] = true
end
local graves, mine = redis.call('HGETALL', KEYS[4]), {}
for i = 1, #graves, 2 do
  if not living[graves[i + 1]] then
    redis.call('HSET', KEYS[4], graves[i], boot)
    mine[#mine + 1] = graves[i]
  end
end
return {time, expires or '', word, members, left, mine}
