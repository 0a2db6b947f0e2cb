-- Extends the lease of a claim. Returns 1 if the claim and its lease were still valid.
-- KEYS: row, due
-- ARGV: now, mark, sid, epoch, lease, after_lease, leased states

local now = time_ms(ARGV[1])
local state, epoch, lease_until, mark =
  unpack(redis.call('HMGET', KEYS[1], 'state', 'epoch', 'lease_until', 'mark'))
if mark == ARGV[2] then
  return 1
end
if epoch ~= ARGV[4] or not listed(ARGV[7], state) or not ahead(lease_until, now) then
  return 0
end

lease_until = now + ARGV[5]
redis.call('ZADD', KEYS[2], lease_until + ARGV[6], ARGV[3])
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'lease_until', lease_until)
return 1
