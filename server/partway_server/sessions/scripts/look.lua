-- Reads a session record, and identifies the server that answers. Returns {the record, run_id, now}.
-- KEYS: row
-- ARGV: now

return {redis.call('HGETALL', KEYS[1]), run_id(), time_ms(ARGV[1])}
