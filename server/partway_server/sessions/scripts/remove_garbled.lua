-- Removes a session record that cannot be read, unless it has changed since. Returns 1 if it did.
-- The indexes lose their entries when they are next read.
-- KEYS: row
-- ARGV: now, sid, then the fields and values that could not be read

local kept = redis.call('HGETALL', KEYS[1])
if #kept == 0 or #kept ~= #ARGV - 2 then
  return 0
end
for i, word in ipairs(kept) do
  if word ~= ARGV[i + 2] then
    return 0
  end
end
redis.call('DEL', KEYS[1])
publish_change(ARGV[2])
return 1
