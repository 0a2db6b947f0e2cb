-- Removes a session record. Returns 1 unless it was claimed since.
-- KEYS: row, due, own
-- ARGV: now, sid, epoch, position

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and epoch ~= ARGV[3] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[4])
publish_change(ARGV[2])
return 1
