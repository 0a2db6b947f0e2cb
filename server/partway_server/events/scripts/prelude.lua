-- What the scripts of webhooks begin with, after the prelude of all.

-- The fields of a stream's entry by name. An entry that is pending but kept no more has none.
local function fields_of(flat)
  local has = {}
  for i = 1, flat and #flat or 0, 2 do
    has[flat[i]] = flat[i + 1]
  end
  return has
end
