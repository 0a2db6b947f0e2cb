-- Takes what is due, the earliest first, and puts it off. Returns {now, the sids}.
-- Rows are found through the index: they share its hash tag, so its slot.
-- KEYS: due
-- ARGV: now, limit, again, beginning of the rows' keys

local SPARE = 100

local now = time_ms(ARGV[1])
local limit = tonumber(ARGV[2])
local taken = {}
-- Some to spare, for the entries whose row is gone.
local waiting =
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, limit + SPARE)
for _, sid in ipairs(waiting) do
  if #taken == limit then
    break
  end
  if redis.call('EXISTS', ARGV[4] .. sid) == 1 then
    redis.call('ZADD', KEYS[1], now + ARGV[3], sid)
    taken[#taken + 1] = sid
  else
    redis.call('ZREM', KEYS[1], sid)
  end
end
return {now, taken}
