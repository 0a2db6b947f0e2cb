-- Releases records that ended, or vanished, without being released, and finds open ones that are not
-- counted: processes of a version that knows no usage leave both. Goes through a shard step by step.
-- Returns {where to go on in `due`, where in `counted`, how many it released, the sids it found}.
-- KEYS: due, counted
-- ARGV: now, where to go on in `due`, where in `counted`, how many of each, prefix of all keys

local now, first, most = time_ms(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])

local function standing_at(sid)
  local row = ARGV[5] .. 'upload:' .. sid
  return standing_of(unpack(redis.call('HMGET', row, 'state', 'reason')))
end

local found, released = {}, 0
local sids = redis.call('ZRANGE', KEYS[1], first, first + most - 1)
for _, sid in ipairs(sids) do
  if standing_at(sid) == 'open' and redis.call('HEXISTS', KEYS[2], sid) == 0 then
    found[#found + 1] = sid
  end
end
local cursor, entries = unpack(redis.call('HSCAN', KEYS[2], ARGV[3], 'COUNT', most))
for i = 1, #entries, 2 do
  local sid, entry = entries[i], entries[i + 1]
  local standing = standing_at(sid)
  local tenant, subject = string.match(entry, '^%d+ %d+ (%S+) (%S*)$')
  if not tenant then
    redis.call('HDEL', KEYS[2], sid)
  elseif standing ~= 'open' then
    local usage = ARGV[5] .. 'usage:' .. tenant
    count_record(KEYS[2], usage, usage .. ':' .. subject, now, sid, entry, false, standing)
    released = released + 1
  end
end
return {#sids == most and first + most or 0, cursor, released, found}
