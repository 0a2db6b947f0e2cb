-- Stores the outcome of a claim. Returns 1 if that claim was the last, and allows the outcome.
-- KEYS: row, due, own, events, counted, usage of the tenant, usage of the subject
-- ARGV: now, mark, sid, epoch, due, keep, states it may be finished from, how long events are kept,
--       the event's ID, type, upload and text ('' for none), the entry in `counted`, as what it is
--       counted, then the fields and values of the outcome

local now = time_ms(ARGV[1])
local state, epoch, mark, last_event =
  unpack(redis.call('HMGET', KEYS[1], 'state', 'epoch', 'mark', 'told'))
if mark == ARGV[2] then
  return 1
end
if epoch ~= ARGV[4] or not listed(ARGV[7], state) then
  return 0
end

if ARGV[10] ~= last_event then
  append_event(KEYS[4], ARGV[8], unpack(ARGV, 9, 12))
end
count_record(KEYS[5], KEYS[6], KEYS[7], now, ARGV[3], ARGV[13], false, ARGV[14])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[3])
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'lease_until', '', 'told', ARGV[10],
  unpack(ARGV, 15))
keep_until(KEYS[1], {KEYS[3], unpack(KEYS, 5)}, ARGV[5], now, ARGV[6])
publish_change(ARGV[3])
return 1
