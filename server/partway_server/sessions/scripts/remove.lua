-- Removes a session record. Returns 1 unless it was claimed since.
-- KEYS: row, due, own, counted, usage of the tenant, usage of the subject
-- ARGV: now, sid, epoch, position, the entry in `counted`

local state, epoch = unpack(redis.call('HMGET', KEYS[1], 'state', 'epoch'))
if epoch and epoch ~= ARGV[3] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[4])
local now, done = time_ms(ARGV[1]), state == 'completed'
count_record(KEYS[4], KEYS[5], KEYS[6], now, ARGV[2], ARGV[5], done, '')
publish_change(ARGV[2])
return 1
