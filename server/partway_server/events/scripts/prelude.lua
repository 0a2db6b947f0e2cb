-- Shared by the webhook scripts, after the prelude of the session scripts.

-- In ms. Whatever claims to be held for longer is garbled, and would be held for ever.
local LONGEST_LEASE = 3600000

-- Returns the fields of a stream entry by name. A pending entry that was trimmed has none.
local function fields_of(flat)
  local has = {}
  for i = 1, flat and #flat or 0, 2 do
    has[flat[i]] = flat[i + 1]
  end
  return has
end
