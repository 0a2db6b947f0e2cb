-- A caller's Uploads in one shard, newest first. Returns {where the scan stopped ('' at the end),
-- {{position, row}, ...}}. Positions whose row is gone leave the index. Rows are found through
-- the index: they share its hash tag, so its slot.
-- KEYS: own
-- ARGV: now, beginning of the rows' keys, upper bound of the position, rows wanted, most to look
--       at, state ('' for any), fingerprint ('' for any)

local TIME_DIGITS = 10

local wanted, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local found = {}
local positions = redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[3], '-', 'LIMIT', 0, most)
for _, position in ipairs(positions) do
  local row = ARGV[2] .. string.sub(position, TIME_DIGITS + 1)
  local state, fingerprint = unpack(redis.call('HMGET', row, 'state', 'fingerprint'))
  if not state then
    redis.call('ZREM', KEYS[1], position)
  elseif (ARGV[6] == '' or ARGV[6] == state) and (ARGV[7] == '' or ARGV[7] == fingerprint) then
    found[#found + 1] = {position, redis.call('HGETALL', row)}
    if #found == wanted then
      return {position, found}
    end
  end
end
return {#positions == most and positions[most] or '', found}
