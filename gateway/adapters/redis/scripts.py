"""What the journal does in one step beside an append: small scripts, each with what it must never do."""

from pathlib import Path

STORED = (Path(__file__).parent / "stored.lua").read_text()

TOUCH = (
    STORED
    + """
local store = stored(KEYS[4], KEYS[3])
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PTTL', KEYS[1]) > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  for i = 2, 3 do  -- the facts and the payload outlive every key that leads to them
    if redis.call('PTTL', KEYS[i]) > 0 then
      redis.call('PEXPIRE', KEYS[i], ARGV[3], 'GT')
    end
  end
  store.settle()
end
"""
)
"""Never for a pointer that meanwhile leads to another call, which may be open: open calls' pointers do not expire."""
REARM = """
local due, time = redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if due and tonumber(due) <= now then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
end
"""
"""Never over a time that is still to come: an append set it, and knew more than whoever looked at what was due."""
