-- Takes or renews the lease of a shard, and reads what is new for a webhook into its group. Returns
-- {the lease's mark, the last id of the stream, 1 if it has more than was read, how many are pending,
-- how many dead letters there are, the pending ones after a place}, or {} while another has the
-- lease. A pending one is {place, id, type, upload, only, tries}; its id is '' if the stream no
-- longer has it.
-- KEYS: lease, events, tries, dead
-- ARGV: now, owner, a new mark, the mark that the owner knows, lease, keep, group, where a new group
--       begins, the place, the most that may be pending

local now = time_ms(ARGV[1])
local owner, mark, held_until = unpack(redis.call('HMGET', KEYS[1], 'owner', 'mark', 'until'))
local held = ahead(held_until, now) and not ahead(held_until, now + LONGEST_LEASE)
if owner and owner ~= ARGV[2] and held then
  return {}
end
-- Another mark: another process had the shard, or Redis lost all. What the owner knows is void.
mark = owner == ARGV[2] and mark or ARGV[3]
if not string.find(mark, '^[%w-]+$') then
  -- Garbled: no process could name it as the one that it knows.
  mark = ARGV[3]
end
local after = mark == ARGV[4] and ARGV[9] or '0'
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'mark', mark, 'until', now + ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
-- If the user may not ask, the error counts as zero: that is no reason to stop delivering.
local letters = tonumber(redis.pcall('XLEN', KEYS[4])) or 0
if redis.call('EXISTS', KEYS[2]) == 0 then
  return {mark, '', 0, 0, letters, {}}
end

-- Fails harmlessly if the group exists.
redis.pcall('XGROUP', 'CREATE', KEYS[2], ARGV[7], ARGV[8])
local room = ARGV[10] - redis.call('XPENDING', KEYS[2], ARGV[7])[1]
local new = room > 0
  and redis.call('XREADGROUP', 'GROUP', ARGV[7], 'all', 'COUNT', room, 'STREAMS', KEYS[2], '>')
local more = (room <= 0 or new and #new[1][2] == room) and 1 or 0
-- Read again from the place, so that the answer is complete even if the last reply was lost.
local read = redis.call('XREADGROUP', 'GROUP', ARGV[7], 'all', 'STREAMS', KEYS[2], after)
local entries = {}
for i, entry in ipairs(read and read[1][2] or {}) do
  local has = fields_of(entry[2])
  entries[i] = {entry[1], has.id or '', has.type or '', has.upload or '', has.webhook or '',
    redis.call('HGET', KEYS[3], entry[1]) or ''}
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local pending = redis.call('XPENDING', KEYS[2], ARGV[7])[1]
return {mark, last and last[1] or '', more, pending, letters, entries}
