-- Takes tokens from a bucket that fills steadily. Returns {how many it took, ms to wait if none}.
-- KEYS: bucket
-- ARGV: now, how many are needed, how many are welcome, how many the bucket holds, ms in which an
--       empty bucket fills

local now, needed, welcome = time_ms(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, fill = tonumber(ARGV[4]), tonumber(ARGV[5])

-- The bucket is stored as the time at which it is full again.
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) or 0, now)
local held = most - (full - now) * most / fill
local missing = math.min(needed, most) - held
if missing > 0.000001 then
  return {0, math.ceil(missing * fill / most)}
end
-- Who needs more than a full bucket has it on credit.
local taken = math.max(needed, math.min(welcome, math.floor(held)))
full = full + taken * fill / most
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now))
return {taken, 0}
