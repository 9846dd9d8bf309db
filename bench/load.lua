-- wrk's side of bench/load.py: sends the template it is given, with a counter in place of every "@@@@@@@@@@@@",
-- and prints what happened as one line of JSON. One thread only, so one counter.
local parts, single, count = {}, nil, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  local from = 1
  while true do
    local first, last = text:find("@@@@@@@@@@@@", from, true)
    if not first then break end
    parts[#parts + 1] = text:sub(from, first - 1)
    from = last + 1
  end
  parts[#parts + 1] = text:sub(from)
  if #parts == 1 then single = text end
end

function request()
  if single then return single end
  count = count + 1
  return table.concat(parts, string.format("%012d", count))
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "failed": %d, "broken": %d, "p50_ms": %.4f, "p99_ms": %.4f}',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
