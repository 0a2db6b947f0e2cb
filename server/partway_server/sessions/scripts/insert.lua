-- Stores a session record unless one exists. Returns {1 if it was stored, the record}.
-- KEYS: row, due, own, events, counted, usage of the tenant, usage of the subject
-- ARGV: now, mark, sid, position, due, keep, lease ('' for none), type of the last event, how long
--       events are kept, the event's ID, type, upload and text ('' for none), the entry in
--       `counted`, as what it is counted, then the record's fields and values

local now = time_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then
  local repeated = redis.call('HGET', KEYS[1], 'mark') == ARGV[2]
  return {repeated and 1 or 0, redis.call('HGETALL', KEYS[1])}
end

local lease_until = ARGV[7] ~= '' and now + ARGV[7] or ''
append_event(KEYS[4], ARGV[9], unpack(ARGV, 10, 13))
-- Before the record: should one of these fail, it is missing, and the next attempt does it all.
count_record(KEYS[5], KEYS[6], KEYS[7], now, ARGV[3], ARGV[14], false, ARGV[15])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[3])
redis.call('ZADD', KEYS[3], 0, ARGV[4])
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'lease_until', lease_until, 'told', ARGV[8],
  unpack(ARGV, 16))
keep_until(KEYS[1], {KEYS[3], unpack(KEYS, 5)}, ARGV[5], now, ARGV[6])
publish_change(ARGV[3])
return {1, redis.call('HGETALL', KEYS[1])}
