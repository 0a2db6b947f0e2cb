-- Moves the due time of an upload that is not claimed. Returns 1 unless it was claimed since.
-- KEYS: row, due
-- ARGV: now, sid, epoch, due

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[3] then
  return 0
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
return 1
