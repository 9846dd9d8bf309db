-- Say how far the log of one partition is sealed, if it still stands where the caller believes; or change nothing.
--
-- This is what keeps two stewards from signing two logs: a root may be signed only if it was set here.
--
-- KEYS[1] {p}:sealed  string: "<lease> <size> <root> <entry>", absent before the first time
-- KEYS[2] {p}:ledger  stream
-- KEYS[3] {p}:seam    string: a line "<entry> <leaves before> <leaves after>" for each entry at which the stream and the
--                     log go apart, in order; absent if they never did
--
-- ARGV: the text that is expected (''; none), the new one, number of the caller's lease, entry that the stream's next
--       one must come after ('': any): what a restored stream does not remember must not be given out again;
--       such a line of a stream that was restored (''; it was not), which ends what was known of all behind it
--
-- Returns 1, also if the new text is there already, since a lost reply is asked for again; else 0.

local function earlier(one, other)
  local a, b = string.match(one, '^(%d+)%-(%d+)')
  local c, d = string.match(other, '^(%d+)%-(%d+)')
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  return a < c or (a == c and b < d)
end

local text = redis.call('GET', KEYS[1]) or ''
local lease = string.match(text, '^%d+')
if text ~= ARGV[2] then
  if text ~= ARGV[1] or (lease and tonumber(lease) > tonumber(ARGV[3])) then
    return 0
  end
  redis.call('SET', KEYS[1], ARGV[2])
end
if ARGV[4] ~= '' then
  if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('XGROUP', 'CREATE', KEYS[2], 'none', '$', 'MKSTREAM')
    redis.call('XGROUP', 'DESTROY', KEYS[2], 'none')
  end
  local info, last = redis.call('XINFO', 'STREAM', KEYS[2]), '0-0'
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = info[i + 1]
    end
  end
  if earlier(last, ARGV[4]) then
    redis.call('XSETID', KEYS[2], ARGV[4])
  end
end
if ARGV[5] ~= '' then
  local seams = ''
  for line in string.gmatch(redis.call('GET', KEYS[3]) or '', '[^\n]+') do
    if earlier(line, ARGV[5]) then
      seams = seams .. line .. '\n'
    end
  end
  redis.call('SET', KEYS[3], seams .. ARGV[5])
end
return 1
