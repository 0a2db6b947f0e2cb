-- The functions of the scripts that count what tenants and subjects use.
--
-- A record is counted as 'open', with its declared bytes; as 'done', only in the bytes of the day on
-- which it began; or not at all, ''. The hash `counted` has an entry for each record that is counted
-- as open, with all that it takes to release it: so each is counted and released exactly once, even
-- if a process of a version that knows no usage ended it.

-- Returns as what a record is counted. `domain/usage.py` has the same rule.
local function standing_of(state, reason)
  if state == 'completed' then
    return 'done'
  end
  return state and state ~= 'aborted' and (reason or '') == '' and 'open' or ''
end

local function signed(sign, size)
  if sign == 0 or size == '0' then
    return '0'
  end
  return sign < 0 and '-' .. size or size
end

-- Adds to a field, with HINCRBY, since sums exceed what Lua can count. Anything else counts as 0.
local function add_to(key, field, amount)
  local sum = redis.pcall('HINCRBY', key, field, amount)
  if type(sum) == 'table' then
    redis.call('HSET', key, field, 0)
    sum = redis.call('HINCRBY', key, field, amount)
  end
  return sum
end

-- Adds a record to a usage hash, or takes it out.
local function add_usage(key, now, size, day, open, of_day)
  local last = tonumber(redis.call('HGET', key, 'day') or 0) or 0
  if of_day > 0 and tonumber(day) > last then
    last = tonumber(day)
    redis.call('HSET', key, 'day', day, 'day_bytes', 0)
  elseif tonumber(day) ~= last then
    of_day = 0
  end
  local uploads = add_to(key, 'open', open)
  add_to(key, 'open_bytes', signed(open, size))
  local bytes = add_to(key, 'day_bytes', signed(of_day, size))
  if uploads <= 0 and (bytes <= 0 or last < math.floor(now / 86400000)) then
    redis.call('DEL', key)
  end
end

-- Counts a record as `standing`. `entry` is its size, its day, and the names of its tenant and
-- subject; `done` says that it is counted as such.
local function count_record(counted, tenant, subject, now, sid, entry, done, standing)
  local function add(of, open, of_day)
    local size, day = string.match(of, '^(%d+) (%d+) ')
    if size then
      add_usage(tenant, now, size, day, open, of_day)
      add_usage(subject, now, size, day, open, of_day)
    end
  end

  local before = redis.call('HGET', counted, sid)
  if before and before ~= entry then
    -- Its record vanished, and another upload has the sid.
    redis.call('HDEL', counted, sid)
    add(before, -1, -1)
    before = false
  end
  local open = (standing == 'open' and 1 or 0) - (before and 1 or 0)
  local of_day = (standing ~= '' and 1 or 0) - ((before or done) and 1 or 0)
  if open > 0 then
    redis.call('HSET', counted, sid, entry)
  elseif open < 0 then
    redis.call('HDEL', counted, sid)
  end
  if open ~= 0 or of_day ~= 0 then
    add(entry, open, of_day)
  end
end
