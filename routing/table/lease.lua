-- Renews a node's lease, by this server's clock, so that nodes' clocks do not
-- matter; removes the nodes whose leases have ended; and hands out what is left to do
-- for them. All keys share the hash tag {parley:nodes}.
-- KEYS: nodes, members, removed, graves, departed, restated, lines.
-- ARGV: node, lease in ms, boot, what the lease carries, 'first' for a boot's first
-- renewal, since when the node has had its lease (by this clock, in ms; '' at first), as
-- the renewal before answered. Only one that has had it for as long as it lasts may judge others. Then when the node's
-- renewal before was, if by then, and since, all that it has was written; else ''. And what the
-- channels begin with that nodes subscribe to.
-- Answers {time, end of the lease so far or '', 'removed', 'rival' or '',
-- {node, record, ...} for all, {node, record, ...} that left and {grave, ...} for this
-- node to deal with, in how many ms there may be news ('' for not soon), {node, boot and
-- that time, ...} of those that have all written}, since when it has had its lease}.
local node, boot = ARGV[1], ARGV[3]
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local time = string.format('%.0f', now)
if redis.call('HEXISTS', KEYS[3], boot .. ' ' .. node) == 1 then
  return {time, '', 'removed', {}, {}, {}, '', {}, time}
end
local lease = tonumber(ARGV[2])

local function bootOf(record)
  return string.match(record or '', '^%S+') or ''
end

local expires, record, word = redis.call('ZSCORE', KEYS[1], node), redis.call('HGET', KEYS[2], node), ''
local held = expires and tonumber(expires) > now
local news = false

-- Notes that a process is gone without leaving. What is to be done about it is taken
-- up by somebody below: "<boot of who does> <since when> <what its lease carried>".
local function gone(dead, record)
  redis.call('HSET', KEYS[5], bootOf(record) .. ' ' .. dead, ' 0 ' .. (string.match(record, '^%S+ (.*)$') or ''))
  news = true
end

if ARGV[5] == 'first' then -- its line may not be laid yet
  redis.call('HDEL', KEYS[7], node)
end
if ARGV[5] == 'first' and ARGV[4] ~= '' then -- who has only slept is not to be thrown out once it is back
  local departed = redis.call('HGETALL', KEYS[5])
  for i = 1, #departed, 2 do
    if string.match(departed[i + 1], '^%S* %d+ (.*)$') == ARGV[4] then
      redis.call('HDEL', KEYS[5], departed[i])
    end
  end
end
if record and bootOf(record) ~= boot then
  if ARGV[5] == 'first' then -- this name's process before, which did not leave
    gone(node, record)
    if not held then
      redis.call('HSET', KEYS[3], bootOf(record) .. ' ' .. node, time)
    end
  elseif held then
    word = 'rival'
  end
end
redis.call('HSET', KEYS[2], node, boot .. ' ' .. ARGV[4])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), node)
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[6], node, boot .. ' ' .. ARGV[7])
else
  redis.call('HDEL', KEYS[6], node)
end

-- Since when a node's line is laid; less than zero: since when it is broken; nil: nobody has
-- seen it laid. A process that dies breaks it at once. A server that was restarted or took
-- over knows no lines, this node's neither.
local function line(name)
  local answer = redis.pcall('PUBSUB', 'NUMSUB', ARGV[8] .. name)
  local laid = (answer[2] or 0) > 0
  local was = tonumber(redis.call('HGET', KEYS[7], name) or '')
  if laid == (was ~= nil and was > 0) or not laid and not was then
    return was
  end
  was = laid and now or -now
  redis.call('HSET', KEYS[7], name, string.format('%.0f', was))
  return was
end

-- Who is dead, and when the next lease ends, if nobody renews it. A node whose own
-- renewal is late has no right to judge: what kept it, a slow server or a busy machine, may
-- have kept others too. They have as much longer from now on.
local since, soon = tonumber(ARGV[6]), nil
if not since or not held then
  since = now
else
  local gap = now - (tonumber(expires) - lease)
  if gap > lease / 2 then
    since = math.max(since, now + gap - lease / 4 - lease)
  end
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time)

-- And whose line is broken, for longer than it takes to lay it anew, while this node's has
-- been there all along.
local own, patience = line(node), math.floor(lease / 3)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. time, '+inf')) do
  local at = name ~= node and line(name)
  if at and at < 0 and own and own > 0 and now - own >= lease then
    if now + at >= patience then
      dead[#dead + 1] = name
    else
      soon = math.min(soon or math.huge, patience - at)
    end
  end
end
if now - since >= lease then
  for _, name in ipairs(dead) do
    record = redis.call('HGET', KEYS[2], name) or ''
    redis.call('ZREM', KEYS[1], name)
    redis.call('HDEL', KEYS[2], name)
    redis.call('HDEL', KEYS[6], name)
    redis.call('HDEL', KEYS[7], name)
    redis.call('HSET', KEYS[3], bootOf(record) .. ' ' .. name, time)
    redis.call('HSET', KEYS[4], bootOf(record) .. ' ' .. name, '')
    gone(name, record)
  end
elseif #dead > 0 then
  soon = math.min(soon or math.huge, since + lease)
end
local ends = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. time, '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
for i = #ends - 1, 1, -2 do
  if ends[i] ~= node then
    soon = math.min(soon or math.huge, tonumber(ends[i + 1]))
  end
end
if news then -- a process that slept for a day has no session left that it could harm
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
-- What a node was handed it is handed again where the answer may have been lost.
-- Others take it up when that node is no member any more; and what concerns Kafka
-- also when it has not got round to it for as long as a lease, as Kafka may be away
-- from it alone.
local graves, mine = redis.call('HGETALL', KEYS[4]), {}
for i = 1, #graves, 2 do
  if graves[i + 1] == boot or not living[graves[i + 1]] then
    redis.call('HSET', KEYS[4], graves[i], boot)
    mine[#mine + 1] = graves[i]
  end
end
local departed, left = redis.call('HGETALL', KEYS[5]), {}
for i = 1, #departed, 2 do
  local keeper, at, carried = string.match(departed[i + 1], '^(%S*) (%d+) (.*)$')
  local old = now - tonumber(at)
  local take = not living[keeper] or keeper ~= boot and old >= lease
  if take then
    redis.call('HSET', KEYS[5], departed[i], boot .. ' ' .. time .. ' ' .. carried)
  end
  if take or keeper == boot and old >= lease / 4 then
    local was, name = string.match(departed[i], '^(%S*) (.*)$')
    left[#left + 1] = name
    left[#left + 1] = was .. ' ' .. carried
  end
end
return {time, expires or '', word, members, left, mine, soon and string.format('%.0f', soon - now) or '', redis.call('HGETALL', KEYS[6]), string.format('%.0f', since)}
