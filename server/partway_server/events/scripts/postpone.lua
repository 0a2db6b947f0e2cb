-- Records that a delivery failed and when it is retried. Returns 1 if the lease is ours.
-- KEYS: lease, tries
-- ARGV: now, owner, keep, place, tries

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
