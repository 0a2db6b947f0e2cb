-- What every script begins with.

-- The store's time in ms: the caller's, if it gave one (only tests do), else the server's own.
local function time_ms(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether `word` is among `words`, which look like ' one two '.
local function listed(words, word)
  return string.find(words, ' ' .. word .. ' ', 1, true) ~= nil
end

-- Whether a row's lease_until, '' for none, is still to come.
local function ahead(lease_until, now)
  return (tonumber(lease_until) or 0) > now
end

-- Appends an event, if there is one, and lets go of those that are older than `keep` ms. Before any
-- write: if it fails, nothing has changed. Entries have the server's time, whatever the caller's is.
local function tell(stream, keep, id, type, upload, event)
  if id ~= '' then
    redis.call('XADD', stream, 'MINID', '~', math.max(time_ms('') - keep, 0), '*',
      'id', id, 'type', type, 'upload', upload, 'event', event)
  end
end

-- Says on the channel of changes that a row changed. Whether anybody hears it, or a user without the
-- right to it may say it, is nothing to the change: who waits for it looks again by and by.
local function wake(sid)
  redis.pcall('PUBLISH', 'partway:changes', sid)
end

-- Housekeeping: row and index go `keep` ms after `due`, if no janitor came. The time to live is
-- relative, so that it holds with a caller's time as well; the index lives as long as any row.
local function keep_until(row, own, due, now, keep)
  local ttl = math.max(due - now, 0) + keep
  redis.call('PEXPIRE', row, ttl)
  redis.call('PEXPIRE', own, ttl, 'NX')
  redis.call('PEXPIRE', own, ttl, 'GT')
end
