-- Identifies the server process that answers for a session record. Returns {run_id, now}.
-- KEYS: row, only to select the slot
-- ARGV: now

return {run_id(), time_ms(ARGV[1])}
