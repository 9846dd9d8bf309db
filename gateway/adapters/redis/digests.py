"""What digests need, in Redis: which questions a group was told by themselves lately, and what its channels heard.

    gateway:batch:<group>        sorted set: questions told by themselves, by when
    {gateway:digest:<d>}:waits   sorted set: calls in the digest that wait, by when their time is over
    {gateway:digest:<d>}:over    sorted set: calls that are over and not yet said to be, by number
    {gateway:digest:<d>}:numbers sorted set: notices that were entered, by number
    {gateway:digest:<d>}:state   hash: last (number), covered, and what was told when

Each step is one script, so that no notice is ever taken for told that came while a digest was put together. None of it
is a fact: losing it tells a digest twice.
"""

from dataclasses import dataclass
from typing import Any

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.quota import Quota
from gateway.digest_ports import Digest, Entry, Told

KEPT_MS = 30 * 24 * 3_600_000
"""After its last use, a digest is forgotten: longer than a notice is tried."""
KEPT_NUMBERS = 10_000
"""Of the last notices. An older one that is still on its way is entered anew, and told in another digest."""

ROOM = """
local time = redis.call('TIME')
local now, window = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 1
end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
HEARD = """
local number = redis.call('ZSCORE', KEYS[1], ARGV[1])
local covered, id, status = unpack(redis.call('HMGET', KEYS[2], 'covered', 'id', 'status'))
if number and covered and tonumber(covered) >= tonumber(number) then
  return {id, status}
end
return {}
"""
ENTER = """
local call, notice, over, limit = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[5]
local number = redis.call('ZSCORE', KEYS[3], notice)
if not number then
  number = redis.call('HINCRBY', KEYS[4], 'last', 1)
  redis.call('ZADD', KEYS[3], number, notice)
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[7]))
end
if tonumber(number) > tonumber(redis.call('HGET', KEYS[4], 'covered') or 0) then
  if over then
    redis.call('ZREM', KEYS[1], call)
    redis.call('ZADD', KEYS[2], number, call)
  else
    redis.call('ZADD', KEYS[1], ARGV[4], call)
  end
end
for i = 1, 4 do
  redis.call('PEXPIRE', KEYS[i], ARGV[6])
end
local function some(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', '+inf', 'LIMIT', 0, limit)
end
return {tonumber(number), redis.call('ZCARD', KEYS[1]), some(KEYS[1]), redis.call('ZCARD', KEYS[2]), some(KEYS[2]),
        redis.call('HGETALL', KEYS[4])}
"""
TOLD = """
local covered = math.max(tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[3], 'covered') or 0))
redis.call('HSET', KEYS[3], 'covered', covered, 'failures', 0, 'id', ARGV[2], 'status', ARGV[3], 'receipt', ARGV[4],
           'began', ARGV[5], 'not_before', ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', covered)
for i = 7, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
end
"""
FAILED = """
redis.call('HSET', KEYS[1], 'not_before', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'failures', 1)
"""


@dataclass(frozen=True, slots=True)
class RedisDigests:
    journal: RedisJournal

    async def room(self, group: str, question: str, quota: Quota) -> bool:
        window = str(round(quota.seconds * 1000))
        return bool(await self._run(ROOM, [f"gateway:batch:{group}"], question, window, str(quota.most)))

    async def heard(self, digest: str, notice: str) -> tuple[str, int] | None:
        _, _, numbers, state = _keys(digest)
        found = await self._run(HEARD, [numbers, state], notice)
        return (found[0].decode(), int(found[1])) if found else None

    async def enter(self, digest: str, entry: Entry, limit: int) -> Digest:
        number, waiting, calls, ended, over, found = await self._run(
            ENTER, _keys(digest),
            entry.call, entry.notice, "1" if entry.over else "", str(entry.until), str(limit), str(KEPT_MS),
            str(KEPT_NUMBERS),
        )  # fmt: skip
        texts = [item.decode() for item in found]
        state = dict(zip(texts[::2], texts[1::2], strict=True))
        whole = ("last", "covered", "status", "began", "not_before", "failures")
        return Digest(
            number=number, waiting=waiting, calls=tuple(call.decode() for call in calls), ended=ended,
            over=tuple(call.decode() for call in over), id=state.get("id", ""), receipt=state.get("receipt", ""),
            **{name: int(state.get(name, 0)) for name in whole},
        )  # fmt: skip

    async def leave(self, digest: str, call: str) -> None:
        await self.journal.ask("ZREM", _keys(digest)[0], call)

    async def told(self, digest: str, told: Told) -> None:
        waits, over, _, state = _keys(digest)
        await self._run(
            TOLD, [waits, over, state],
            str(told.covered), told.id, str(told.status), told.receipt, str(told.began), str(told.not_before),
            *told.gone,
        )  # fmt: skip

    async def failed(self, digest: str, not_before: int) -> None:
        await self._run(FAILED, [_keys(digest)[3]], str(not_before))

    async def _run(self, script: str, keys: list[str], *arguments: str) -> Any:
        return await self.journal.ask("EVAL", script, str(len(keys)), *keys, *arguments)


def _keys(digest: str) -> list[str]:
    return [f"{{gateway:digest:{digest}}}:{part}" for part in ("waits", "over", "numbers", "state")]
