-- Gives an active upload another deadline. Returns {1 if it did, the session record}.
-- KEYS: row, due, own, counted, usage of the tenant, usage of the subject
-- ARGV: now, mark, sid, due, keep, the grant with the deadline, the only state in which it may be
--       given; of the record as the caller saw it: write token, epoch

local now = time_ms(ARGV[1])
local state, epoch, mark, grant, form =
  unpack(redis.call('HMGET', KEYS[1], 'state', 'epoch', 'mark', 'grant', 'form'))
-- The packed grant contains the token verbatim.
if not state or not string.find(grant, ARGV[8], 1, true) then
  return {0, {}}
end
if mark == ARGV[2] then
  return {1, redis.call('HGETALL', KEYS[1])}
end
if newer(form) or state ~= ARGV[7] or epoch ~= ARGV[9] then
  return {0, redis.call('HGETALL', KEYS[1])}
end

redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
-- The next epoch, so that no one claims it who decided by the deadline before. Not the time, as for
-- a claim: that would make a stale record look current.
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'grant', ARGV[6], 'epoch', epoch + 1)
keep_until(KEYS[1], {unpack(KEYS, 3)}, ARGV[4], now, ARGV[5])
publish_change(ARGV[3])
return {1, redis.call('HGETALL', KEYS[1])}
