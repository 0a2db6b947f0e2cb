-- Shared by the webhook scripts, after the prelude of the session scripts.

-- Returns the fields of a stream entry by name. A pending entry that was trimmed has none.
local function fields_of(flat)
  local has = {}
  for i = 1, flat and #flat or 0, 2 do
    has[flat[i]] = flat[i + 1]
  end
  return has
end
