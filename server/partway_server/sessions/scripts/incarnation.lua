-- Identifies the server process that answers for a session record. Returns {run_id, now}.
-- KEYS: row, only to select the slot
-- ARGV: now

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
return {run_id, time_ms(ARGV[1])}
