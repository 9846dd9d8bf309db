-- Append facts to one call, with everything around them, or change nothing.
--
-- One step does it all, so state and record cannot disagree: compare-and-swap on the number of facts, the token of
-- a lost reply, pointers, suspension, facts, ledger entry, payload, due time, outbox. Times come from this server.
--
-- KEYS[1] {p}:call:<id>         list: one enveloped fact per element, oldest first
-- KEYS[2] {p}:ledger            stream: one entry per append
-- KEYS[3] {p}:due               sorted set: unsettled calls by the time somebody must look at them
-- KEYS[4] {p}:payload:<id>      hash: the bytes that facts carry only digests of
-- KEYS[5] {p}:suspended:<agent> exists while the agent may not act
-- KEYS[6] {p}:outbox            sorted set: "<call> <notice>" by the time it must be delivered
-- KEYS[7..] pointers            string: the id of the call they lead to; of an executing pointer set: all that were sent;
--                               of a grant: its text; of questions sorted set: calls by when people were asked
--                               of the held pointer sorted set: all that wait for people, by when their time is over
--                               of the stored pointer hash: see stored.lua
--
-- A payload field with no bytes is taken away. One that begins with `kept.` is a copy for the record: those are in
-- {p}:kept:<id>, each with the time of this append, and the call in {p}:copies; neither ever expires. Whoever moves
-- copies to the payload store takes them away.
--
-- ARGV: call, expected, token, guarded, due_in, expire_in, beside (ids, each followed by a space),
--       #facts, fact..., #payload, (field, bytes)..., #notices, (notice, milliseconds | '')..., (mode, ttl) per pointer
--       (of `count`: milliseconds, a slash, and how many in them; of `store`: the same with 0 and how many bytes)
--
-- Returns {'ok', at, entry, last entry of the ledger} (also for a token seen before, then with an empty entry),
-- {'conflict'}, {'suspended'}, {'taken', calls with a space between, position}, {'revoked'},
-- {'full', milliseconds until there is room}, {'stored', milliseconds until there is more room, 0 if nobody knows}.

local call, token = ARGV[1], ARGV[3]
local expected = tonumber(ARGV[2])
local by = '"by":"' .. token .. '"'

local have = redis.call('LLEN', KEYS[1])
if have ~= expected then
  local seen = have > expected and redis.call('LINDEX', KEYS[1], expected)
  local after_time = seen and string.find(seen, ',', 1, true)
  if seen and string.sub(seen, after_time + 1, after_time + #by) == by then
    local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
    return {'ok', tonumber(string.match(seen, '^{"at":(%d+)')), '', last and last[1] or '0-0'}
  end
  return {'conflict'}
end

local position = 8
local count = tonumber(ARGV[position])
local facts_from = position + 1
position = facts_from + count
local payload_from, payload_count = position + 1, tonumber(ARGV[position])
position = payload_from + 2 * payload_count
local notices_from, notices_count = position + 1, tonumber(ARGV[position])
local pointers_from = notices_from + 2 * notices_count

if ARGV[4] == '1' and redis.call('EXISTS', KEYS[5]) == 1 then
  return {'suspended'}
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at = string.format('%.0f', now)

local holders, store = {}, nil
for i = 7, #KEYS do
  local mode, ttl = ARGV[pointers_from + 2 * (i - 7)], ARGV[pointers_from + 2 * (i - 7) + 1]
  if mode == 'join' or mode == 'look' then
    local others = {}
    for _, other in ipairs(redis.call('SMEMBERS', KEYS[i])) do
      if other ~= call and not string.find(ARGV[7], other .. ' ', 1, true) then
        others[#others + 1] = other
      end
    end
    if #others > 0 then
      table.sort(others)
      return {'taken', table.concat(others, ' '), i - 6}
    end
  elseif mode == 'need' then
    if redis.call('EXISTS', KEYS[i]) == 0 then
      return {'revoked'}
    end
  elseif mode == 'count' then
    local window, most = string.match(ttl, '^(%d+)/(%d+)$')
    local since = '(' .. string.format('%.0f', now - tonumber(window))
    local over = redis.call('ZCOUNT', KEYS[i], since, '+inf') - tonumber(most)
    if over >= 0 then
      local leaves = redis.call('ZRANGEBYSCORE', KEYS[i], since, '+inf', 'WITHSCORES', 'LIMIT', over, 1)
      return {'full', tonumber(leaves[2]) + tonumber(window) - now}
    end
  elseif mode == 'store' then
    store = stored(KEYS[i], KEYS[4])
    local more, all, leaves = store.with(payload_from, payload_from + 2 * payload_count - 1, now)
    local most = tonumber(string.match(ttl, '/(%d+)$'))
    if most and more > 0 and all > most then
      return {'stored', leaves}
    end
  elseif mode ~= 'stay' and mode ~= 'leave' and mode ~= 'wait' and mode ~= 'over' then
    holders[i] = redis.call('GET', KEYS[i])
    if (mode == 'take' or mode == 'test') and holders[i] and holders[i] ~= call then
      return {'taken', holders[i], i - 6}
    end
  end
end

local envelopes = {}
for i = 1, count do
  envelopes[i] = '{"at":' .. at .. ',' .. by .. ',"fact":' .. ARGV[facts_from + i - 1] .. '}'
end
redis.call('RPUSH', KEYS[1], unpack(envelopes))
local entry = redis.call('XADD', KEYS[2], '*', 'call', call, 'from', ARGV[2], 'facts', table.concat(envelopes, '\n'))

for i = payload_from, payload_from + 2 * payload_count - 1, 2 do
  if string.sub(ARGV[i], 1, 5) == 'kept.' then
    redis.call('HSET', (string.gsub(KEYS[4], ':payload:', ':kept:', 1)), ARGV[i] .. '@' .. at, ARGV[i + 1])
    redis.call('ZADD', (string.gsub(KEYS[3], ':due', ':copies', 1)), 'NX', at, call)
  elseif ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[4], ARGV[i])
  else
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
  end
end
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[5])), call)
elseif expected > 0 then
  redis.call('ZREM', KEYS[3], call)
end
if ARGV[6] ~= '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  if expected > 0 or payload_count > 0 then
    redis.call('PEXPIRE', KEYS[4], ARGV[6])
  end
elseif expected > 0 then
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[4])
end
for i = 1, notices_count do
  local member = call .. ' ' .. ARGV[notices_from + 2 * (i - 1)]
  local due = ARGV[notices_from + 2 * (i - 1) + 1]
  if due == '' then
    redis.call('ZREM', KEYS[6], member)
  else
    redis.call('ZADD', KEYS[6], string.format('%.0f', now + tonumber(due)), member)
  end
end
for i = 7, #KEYS do
  local mode, ttl = ARGV[pointers_from + 2 * (i - 7)], ARGV[pointers_from + 2 * (i - 7) + 1]
  if mode == 'free' then
    if holders[i] == call then
      redis.call('DEL', KEYS[i])
    end
  elseif mode == 'join' or mode == 'stay' then
    redis.call('SADD', KEYS[i], call)
    if ttl == '' then
      redis.call('PERSIST', KEYS[i])
    elseif redis.call('SCARD', KEYS[i]) == 1 then
      redis.call('PEXPIRE', KEYS[i], ttl)
    else
      redis.call('PEXPIRE', KEYS[i], ttl, 'GT')  -- never sooner than another call needs; one in doubt needs it for ever
    end
  elseif mode == 'leave' then
    redis.call('SREM', KEYS[i], call)
  elseif mode == 'count' then
    local window = string.match(ttl, '^%d+')
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now - tonumber(window)))
    redis.call('ZADD', KEYS[i], at, call)
    redis.call('PEXPIRE', KEYS[i], window)
  elseif mode == 'wait' then
    redis.call('ZADD', KEYS[i], 'NX', string.format('%.0f', now + tonumber(ttl)), call)
  elseif mode == 'over' then
    redis.call('ZREM', KEYS[i], call)
  elseif (mode == 'take' or mode == 'hold') and (not holders[i] or holders[i] == call) then
    if ttl == '' then
      redis.call('SET', KEYS[i], call)
    else
      redis.call('SET', KEYS[i], call, 'PX', ttl)
    end
  end
end
if store then
  store.settle()
end
return {'ok', now, entry, entry}
