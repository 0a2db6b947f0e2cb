-- Counts a record as its state says, whatever it was counted as. Returns 1 if it exists.
-- KEYS: row, counted, usage of the tenant, usage of the subject
-- ARGV: now, sid, the entry in `counted`

local state, reason = unpack(redis.call('HMGET', KEYS[1], 'state', 'reason'))
local standing, now = standing_of(state, reason), time_ms(ARGV[1])
-- Whether one that has ended counts for its day is not known any more: it stays as it is.
local ended = standing == 'done'
count_record(KEYS[2], KEYS[3], KEYS[4], now, ARGV[2], ARGV[3], ended, standing)
local ttl = redis.call('PTTL', KEYS[1])
if ttl > 0 then
  keep_for({unpack(KEYS, 2)}, ttl)
end
return state and 1 or 0
