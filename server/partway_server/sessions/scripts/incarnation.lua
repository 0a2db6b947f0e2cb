-- Which start of which server answers for a row, and when. Returns {run_id, now}.
-- KEYS: row, for its slot alone
-- ARGV: now

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
return {run_id, time_ms(ARGV[1])}
