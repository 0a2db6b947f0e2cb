-- Puts a dead letter back into the stream, for its webhook alone. Returns 1 if it was there.
-- KEYS: dead, events
-- ARGV: now, place, webhook

local letter = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if not letter then
  return 0
end
local has = fields_of(letter[2])
redis.call('XADD', KEYS[2], '*', 'id', has.id or '', 'type', has.type or '',
  'upload', has.upload or '', 'event', has.event or '', 'webhook', ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
