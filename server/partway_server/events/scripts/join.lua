-- Registers a process as a worker of a webhook. Returns all workers.
-- KEYS: workers
-- ARGV: now, owner, how long it counts without renewal, in ms

local now = time_ms(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + LONGEST_LEASE, '+inf')
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
