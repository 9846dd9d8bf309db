-- Let go of the oldest entries of one partition's stream, as far as nobody needs them any more, or change nothing.
--
-- Never an entry that is not sealed, published (if anybody publishes) and counted; never one of a call that is not over;
-- never the last one, by which everybody knows how far the journal had come. One step decides and does it, so nothing
-- can become needed in between.
--
-- KEYS[1] {p}:ledger          the stream
-- KEYS[2] {p}:sealed          ends with the last entry that is in the sealed log
-- KEYS[3] {p}:cursor:traces   begins with the last entry that is published
-- KEYS[4] {p}:due             the calls that are not over
--
-- ARGV: how the keys of calls begin, published ('1': by somebody), counted (entry, or '' if nobody counts here),
--       before (milliseconds: what is older goes), keep (as many entries stay), most (entries looked at in one step)
--
-- Returns how many entries are gone.

local function order(text)
  local milliseconds, number = string.match(text, '(%d+)%-(%d+)')
  return tonumber(milliseconds), tonumber(number)
end

local function earlier(one, other)
  local a, b = order(one)
  local c, d = order(other)
  return a < c or (a == c and b < d)
end

local needed = {redis.call('GET', KEYS[2]) or ''}
if ARGV[2] == '1' then
  needed[#needed + 1] = redis.call('GET', KEYS[3]) or ''
end
if ARGV[3] ~= '' then
  needed[#needed + 1] = ARGV[3]
end
local upto = nil
for _, text in ipairs(needed) do
  local entry = string.match(text, '%d+%-%d+')
  if not entry then return 0 end
  if not upto or earlier(entry, upto) then upto = entry end
end

local length = redis.call('XLEN', KEYS[1])
local some = redis.call('XRANGE', KEYS[1], '-', upto, 'COUNT', ARGV[6])
local before, keep, gone = tonumber(ARGV[4]), tonumber(ARGV[5]), 0
local function goes(entry)
  return gone < length - 1 and entry and (order(entry[1]) < before or length - gone > keep)
end
if not goes(some[1]) then return 0 end

local begun = nil
for _, call in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  local first = redis.call('LINDEX', ARGV[1] .. call, 0)
  if first then
    local at = tonumber(string.match(first, '^{"at":(%d+)'))
    if not at then return 0 end
    begun = math.min(begun or at, at)
  end
end

local last = nil
while goes(some[gone + 1]) and not (begun and order(some[gone + 1][1]) >= begun) do
  gone = gone + 1
  last = some[gone][1]
end
if not last then return 0 end
local milliseconds, number = string.match(last, '(%d+)%-(%d+)')
redis.call('XTRIM', KEYS[1], 'MINID', '=', milliseconds .. '-' .. string.format('%.0f', tonumber(number) + 1))
return gone
