-- Lists a caller's uploads in one shard, newest first. Returns {where the scan stopped ('' at the
-- end), {{position, record}, ...}}. Positions whose session record is gone are removed from the
-- index. Records are found through the index: they share its hash tag, and so its slot.
-- KEYS: own
-- ARGV: now, prefix of the records' keys, lower and upper bound of the position, how many, most
--       to examine, state as callers see it ('' for any), fingerprint ('' for any), policy
--       ('' for any; a record of an older version names none, and passes)

local TIME_DIGITS = 10

local function fits(wanted, found)
  return wanted == '' or wanted == found
end

local wanted, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local found = {}
local positions = redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[4], ARGV[3], 'LIMIT', 0, most)
for _, position in ipairs(positions) do
  local row = ARGV[2] .. string.sub(position, TIME_DIGITS + 1)
  local has = redis.pcall('HMGET', row, 'state', 'reason', 'fingerprint', 'policy')
  local state, reason, fingerprint, policy = unpack(has)
  local public_state = (state == 'aborting' and (reason or '') ~= '') and 'aborted' or state
  if has.err and not string.find(has.err, 'WRONGTYPE', 1, true) then
    -- For one, the record is on its way to another server.
    return has
  elseif has.err then
    -- Not a hash: returned as a record without fields.
    found[#found + 1] = {position, {}}
  elseif not state then
    redis.call('ZREM', KEYS[1], position)
  elseif fits(ARGV[7], public_state) and fits(ARGV[8], fingerprint or '')
    and fits(ARGV[9], policy or ARGV[9]) then
    found[#found + 1] = {position, redis.call('HGETALL', row)}
    if #found == wanted then
      return {position, found}
    end
  end
end
return {#positions == most and positions[most] or '', found}
