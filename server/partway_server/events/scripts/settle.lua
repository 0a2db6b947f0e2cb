-- Removes deliveries that are done. Returns how many were pending.
-- KEYS: events, tries
-- ARGV: now, group, then the places

redis.call('HDEL', KEYS[2], unpack(ARGV, 3))
return redis.call('XACK', KEYS[1], ARGV[2], unpack(ARGV, 3))
