-- How much is kept for an agent, counted in the step that changes it: no crash parts the bytes from their count, and
-- what a call counts follows from its payload alone. Other scripts begin with this one.
--
-- {p}:stored:<agent>  hash: bytes by when they leave: the hour since the epoch in which a payload expires, or `open`
--
-- A field of less than 4 KiB is no more than the facts beside it and does not count, so most calls cost nothing here.

local function stored(key, payload)
  local function counted()
    local sizes, bytes, leaves = {}, 0, 'open'
    for _, field in ipairs(redis.call('HKEYS', payload)) do
      local size = redis.call('HSTRLEN', payload, field)
      if size >= 4096 then
        sizes[field], bytes = size, bytes + size
      end
    end
    local at = redis.call('PEXPIRETIME', payload)
    if at > 0 then
      leaves = string.format('%.0f', math.floor(at / 3600000))
    end
    return sizes, bytes, leaves
  end
  local function add(leaves, bytes)
    if bytes ~= 0 and redis.call('HINCRBY', key, leaves, string.format('%.0f', bytes)) <= 0 then
      redis.call('HDEL', key, leaves)  -- less than none: of what was written before anybody counted
    end
  end
  local sizes, bytes, leaves = counted()
  local self = {}
  -- Bytes of the call once these fields are written (`from` and `to`: where they are in ARGV), and those of all calls;
  -- milliseconds until the first of them leave, 0 if nothing says when.
  function self.with(from, to, now)
    local mine, all, first, this = bytes, 0, nil, math.floor(now / 3600000)
    for i = from, to, 2 do
      if string.sub(ARGV[i], 1, 5) ~= 'kept.' then
        mine = mine - (sizes[ARGV[i]] or 0) + (#ARGV[i + 1] >= 4096 and #ARGV[i + 1] or 0)
      end
    end
    local found = redis.call('HGETALL', key)
    for i = 1, #found, 2 do
      local hour = tonumber(found[i])
      if hour and hour < this then
        redis.call('HDEL', key, found[i])
      else
        all = all + tonumber(found[i + 1])
        first = hour and math.min(first or hour, hour) or first
      end
    end
    return mine - bytes, all - bytes + mine, first and (first + 1) * 3600000 - now or 0
  end
  -- The payload is now as it stays.
  function self.settle()
    local _, later_bytes, later_leaves = counted()
    if later_bytes ~= bytes or later_leaves ~= leaves then
      add(leaves, -bytes)
      add(later_leaves, later_bytes)
    end
  end
  return self
end
