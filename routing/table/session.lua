-- Writes a session and its rows, or only prolongs its life where the table has
-- it as this node left it.
-- KEYS: session, held.
-- ARGV: 'touch', 'anew', 'reclaim' or 'open', node, boot, epoch, life in ms, secret, subject, then field and value of each row.
-- Answers 1 when it was there, 2 when it was written, more where it was reclaimed, or
-- had another boot: by as many bytes as are held; and minus the epoch under which another take-over has it.
local was = redis.call('HMGET', KEYS[1], 'owner', 'boot', 'epoch')
if was[1] then
  local epoch, mine = tonumber(was[3]) or 0, tonumber(ARGV[4])
  if epoch > mine or (epoch == mine and was[1] ~= ARGV[2]) then
    return -epoch
  end
  if ARGV[1] == 'touch' and was[1] == ARGV[2] and was[2] == ARGV[3] then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    redis.call('PEXPIRE', KEYS[2], ARGV[5])
    return 1
  end
end
if ARGV[1] ~= 'open' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 2) == 'r:' then
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'boot', ARGV[3], 'epoch', ARGV[4], 'state', 'attached', 'secret', ARGV[6], 'subject', ARGV[7])
if #ARGV > 7 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 8))
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if ARGV[1] == 'reclaim' or was[1] and was[2] ~= ARGV[3] then
  return 2 + (tonumber(redis.call('HGET', KEYS[1], 'held')) or 0)
end
return 2
