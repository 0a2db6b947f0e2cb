-- Counts parts as sent, each once. Returns the session record, {} if missing or another upload's.
-- KEYS: row
-- ARGV: now, sid, write token, the state in which parts are counted, then runs of parts: the first,
--       the last, the size of each

local grant, state, parts, total, form =
  unpack(redis.call('HMGET', KEYS[1], 'grant', 'state', 'parts', 'parts_bytes', 'form'))
-- The packed grant contains the token verbatim.
if not grant or not string.find(grant, ARGV[3], 1, true) then
  return {}
end

if state == ARGV[4] and not newer(form) then
  -- At most 1,250 bytes, for 10,000 parts: well within the limit of Lua's stack.
  local bitmap = {string.byte(parts or '', 1, -1)}
  local changed = false
  total = tonumber(total) or 0
  for i = 5, #ARGV, 3 do
    for gap = #bitmap + 1, math.ceil(ARGV[i + 1] / 8) do
      bitmap[gap] = 0
    end
    for number = ARGV[i], ARGV[i + 1] do
      local place, bit = math.ceil(number / 8), 2 ^ ((number - 1) % 8)
      if math.floor(bitmap[place] / bit) % 2 == 0 then
        bitmap[place] = bitmap[place] + bit
        total = total + ARGV[i + 2]
        changed = true
      end
    end
  end
  if changed then
    redis.call('HSET', KEYS[1], 'parts', string.char(unpack(bitmap)), 'parts_bytes', total)
    publish_change(ARGV[2])
  end
end
return redis.call('HGETALL', KEYS[1])
