-- Counts parts as sent, each once. Returns the row, {} if there is none or it is another Upload's.
-- KEYS: row
-- ARGV: now, sid, write token, the state in which parts are counted, then the number and the size
--       of each part

local grant, state, parts, total =
  unpack(redis.call('HMGET', KEYS[1], 'grant', 'state', 'parts', 'parts_bytes'))
-- The token stands in the packed grant as it is.
if not grant or not string.find(grant, ARGV[3], 1, true) then
  return {}
end

if state == ARGV[4] then
  -- At most 1,250 bytes, for 10,000 parts: well below what Lua has on its stack.
  local held = {string.byte(parts or '', 1, -1)}
  local changed = false
  total = tonumber(total) or 0
  for i = 5, #ARGV, 2 do
    local place, bit = math.floor((ARGV[i] - 1) / 8) + 1, 2 ^ ((ARGV[i] - 1) % 8)
    for gap = #held + 1, place do
      held[gap] = 0
    end
    if math.floor(held[place] / bit) % 2 == 0 then
      held[place] = held[place] + bit
      total = total + ARGV[i + 1]
      changed = true
    end
  end
  if changed then
    redis.call('HSET', KEYS[1], 'parts', string.char(unpack(held)), 'parts_bytes', total)
    tell(ARGV[2])
  end
end
return redis.call('HGETALL', KEYS[1])
