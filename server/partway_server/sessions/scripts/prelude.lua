-- The functions that every script begins with.

-- Returns the time in ms: the caller's, if given (only in tests), else the server's.
local function time_ms(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Returns the run ID of the server process that answers.
local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- Returns whether `word` is among `words`, which look like ' one two '.
local function listed(words, word)
  return string.find(words, ' ' .. word .. ' ', 1, true) ~= nil
end

-- Returns whether a record's lease_until, '' for none, is in the future.
local function ahead(lease_until, now)
  return (tonumber(lease_until) or 0) > now
end

-- Returns whether a record is in a form of a later version than this, which must leave it alone.
-- `form` is that of the record, if it has one; this version's is FORM in record_encoding.py.
local function newer(form)
  return (tonumber(form) or 1) > 1
end

-- Appends an event, if given, and drops those that are older than `keep` ms. Call it before any
-- write: if it fails, nothing has changed. Entries have the server's time, not the caller's.
local function append_event(stream, keep, id, type, upload, event)
  if id ~= '' then
    redis.call('XADD', stream, 'MINID', '~', math.max(time_ms('') - keep, 0), '*',
      'id', id, 'type', type, 'upload', upload, 'event', event)
  end
end

-- Publishes that a session record changed. The change does not depend on subscribers, nor on the
-- user's right to publish: waiters also poll.
local function publish_change(sid)
  redis.pcall('PUBLISH', 'partway:changes', sid)
end

-- Lets keys that several records share live for `ttl` ms at least.
local function keep_for(shared, ttl)
  for _, key in ipairs(shared) do
    redis.call('PEXPIRE', key, ttl, 'NX')
    redis.call('PEXPIRE', key, ttl, 'GT')
  end
end

-- Lets a record and `shared` keys expire `keep` ms after `due`, in case no janitor removes them. The
-- time to live is relative, so that it is right with a caller's time as well; shared keys live as
-- long as any record.
local function keep_until(row, shared, due, now, keep)
  local ttl = math.max(due - now, 0) + keep
  redis.call('PEXPIRE', row, ttl)
  keep_for(shared, ttl)
end
