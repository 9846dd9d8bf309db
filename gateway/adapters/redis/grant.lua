-- Append one fact to one standing grant, with everything around it, or change nothing.
--
-- KEYS[1] {p}:granted:<id>  list: one enveloped fact per element, oldest first
-- KEYS[2] {p}:grant:<id>    string: the grant's text; exists while it may be used, which append.lua looks for
-- KEYS[3] {p}:grants        sorted set: "<id> <number of facts>" by when the grant ends
-- KEYS[4] {p}:ledger        stream: one entry per append, here with `grant` in the place of `call`
--
-- ARGV: id, expected, token, fact, end (milliseconds since the epoch), text ('': it may not be used any more), kept
--       (milliseconds for which the facts are kept beyond the end)
--
-- Returns {'ok', at, entry} or {'conflict'}.

local expected, over = tonumber(ARGV[2]), tonumber(ARGV[5])
if redis.call('LLEN', KEYS[1]) ~= expected then
  return {'conflict'}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at = string.format('%.0f', now)

local envelope = '{"at":' .. at .. ',"by":"' .. ARGV[3] .. '","fact":' .. ARGV[4] .. '}'
redis.call('RPUSH', KEYS[1], envelope)
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(over, now) + tonumber(ARGV[7])))
if ARGV[6] ~= '' and over > now then
  redis.call('SET', KEYS[2], ARGV[6], 'PX', string.format('%.0f', over - now))
else
  redis.call('DEL', KEYS[2])
end
redis.call('ZREM', KEYS[3], ARGV[1] .. ' ' .. ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[1] .. ' ' .. string.format('%.0f', expected + 1))
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - tonumber(ARGV[7])))
local entry = redis.call('XADD', KEYS[4], '*', 'grant', ARGV[1], 'from', ARGV[2], 'facts', envelope)
return {'ok', now, entry}
