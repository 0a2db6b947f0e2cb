-- Takes due uploads, the earliest first, and postpones them. Returns {now, the sids}.
-- Session records are found through the index: they share its hash tag, and so its slot.
-- KEYS: due
-- ARGV: now, limit, again, prefix of the records' keys

local SPARE = 100

local now = time_ms(ARGV[1])
local limit = tonumber(ARGV[2])
local taken = {}
-- Some spare ones, for entries whose record is gone.
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
