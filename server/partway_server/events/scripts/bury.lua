-- Gives a delivery up: what was pending becomes a dead letter. Returns 1 if it was pending.
-- KEYS: events, tries, dead
-- ARGV: now, group, place, how long dead letters are kept, attempts, why

-- Only the call that finds it pending writes the letter, so that it is written once. An error means
-- that the group is missing: Redis lost everything.
if #redis.pcall('XPENDING', KEYS[1], ARGV[2], ARGV[3], ARGV[3], 1) == 0 then
  return 0
end
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if entry then
  local has = fields_of(entry[2])
  redis.call('XADD', KEYS[3], 'MINID', math.max(time_ms('') - ARGV[4], 0), '*',
    'id', has.id or '', 'type', has.type or '', 'upload', has.upload or '',
    'event', has.event or '', 'attempts', ARGV[5], 'why', ARGV[6])
end
redis.call('HDEL', KEYS[2], ARGV[3])
return redis.call('XACK', KEYS[1], ARGV[2], ARGV[3])
