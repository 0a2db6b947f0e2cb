-- Removes the keys that do not have the type they should. Returns those that it removed.
-- KEYS: any of one slot
-- ARGV: now, then the type of each

local removed = {}
for i, key in ipairs(KEYS) do
  local type = redis.call('TYPE', key)['ok']
  if type ~= 'none' and type ~= ARGV[i + 1] then
    redis.call('DEL', key)
    removed[#removed + 1] = key
  end
end
return removed
