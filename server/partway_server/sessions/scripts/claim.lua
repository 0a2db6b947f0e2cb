-- Moves an upload into a leased state. Returns {1 if it was claimed, the session record} and, if
-- asked, what shows whether the record before was current: {..., its epoch, the run ID, now}.
-- KEYS: row, due
-- ARGV: now, mark, sid, target, lease, after_lease, manifest, states it may be claimed from,
--       leased states; of the record as the caller saw it, or '' for any: write token, epoch, state;
--       of a caller that has not seen it: the whole grant, or '' for any, and '1' to ask

local now = time_ms(ARGV[1])
local state, lease_until, epoch, mark, grant, form =
  unpack(redis.call('HMGET', KEYS[1], 'state', 'lease_until', 'epoch', 'mark', 'grant', 'form'))
-- The packed grant contains the token verbatim.
if not state or not string.find(grant, ARGV[10], 1, true) then
  return {0, {}}
end
if newer(form) then
  return {0, redis.call('HGETALL', KEYS[1])}
end
if mark == ARGV[2] then
  -- Its epoch before is not known any more.
  return {1, redis.call('HGETALL', KEYS[1])}
end
local changed = ARGV[11] ~= '' and (epoch ~= ARGV[11] or state ~= ARGV[12])
local other = ARGV[13] ~= '' and grant ~= ARGV[13]
local leased = listed(ARGV[9], state) and ahead(lease_until, now)
if changed or other or leased or not listed(ARGV[8], state) then
  return {0, redis.call('HGETALL', KEYS[1])}
end

lease_until = now + ARGV[5]
-- At least the time, so that an epoch of a lost or older record is not assigned again.
local claim = math.max(epoch + 1, now)
redis.call('ZADD', KEYS[2], lease_until + ARGV[6], ARGV[3])
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'state', ARGV[4], 'lease_until', lease_until,
  'epoch', claim)
-- A manifest has a prefix, so that an empty one differs from none.
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[1], 'manifest', string.sub(ARGV[7], 2))
end
publish_change(ARGV[3])
local row = redis.call('HGETALL', KEYS[1])
if ARGV[14] ~= '1' then
  return {1, row}
end
return {1, row, epoch, run_id(), now}
