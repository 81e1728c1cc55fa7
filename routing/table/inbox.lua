-- Makes an inbox, empty, where there is none: only an inbox that is there takes
-- entries.
-- KEYS: inbox.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('XDEL', KEYS[1], redis.call('XADD', KEYS[1], '*', 'b', ''))
  return 1
end
return 0
