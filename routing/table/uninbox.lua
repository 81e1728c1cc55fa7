-- Deletes an inbox if it is empty.
-- KEYS: inbox.  Answers how many entries it has.
local left = redis.call('XLEN', KEYS[1])
if left == 0 then
  redis.call('DEL', KEYS[1])
end
return left
