-- Releases a lease. Returns 1 if it was ours.
-- KEYS: lease
-- ARGV: now, owner

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then
  return 0
end
return redis.call('DEL', KEYS[1])
