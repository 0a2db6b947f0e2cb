-- Says that a process works for a webhook. Returns all that do.
-- KEYS: workers
-- ARGV: now, owner, until when it counts without another word, in ms from now

local now = time_ms(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
