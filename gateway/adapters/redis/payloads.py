"""Payload between this process and Redis: nothing goes there in plain, and what comes back is read or said to be gone.

The ids of the keys that hosts of this deployment encrypt with are in Redis, newest last, so that a host with other
keys notices before it serves. It must never let a host that is behind the others take a payload for lost: a key that
the deployment uses now is this host's to get, not the call's to go without.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.core.payload import UNREADABLE
from gateway.payload_ports import Cipher, KeyMissing, Unreadable
from gateway.ports import JournalUnavailable

if TYPE_CHECKING:
    from gateway.adapters.redis.journal import RedisJournal

KEYS = "gateway:payload-keys"
REGISTER = """
local newest, ours = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1], false
for _, id in ipairs(ARGV) do
  ours = ours or id == newest
end
if newest and not ours then
  return newest
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), ARGV[1])
return ''
"""
"""Never of a host that could not read what others encrypt now."""


async def register(journal: "RedisJournal", ids: Sequence[str]) -> str:
    """Say that this host encrypts with the first of these keys. The id of the key that the deployment uses and that is
    not among them, and then nothing was said; empty if all is well. Raises JournalUnavailable."""
    refused: bytes = await journal.ask("EVAL", REGISTER, "1", KEYS, *ids)
    return refused.decode()


async def retired(journal: "RedisJournal", ids: Sequence[str]) -> list[str]:
    """Keys that were used and that this host does not have: what they encrypted is gone for it."""
    known = await journal.ask("ZRANGE", KEYS, "0", "-1")
    return [name.decode() for name in known if name.decode() not in ids]


def sealed(cipher: Cipher, call: str, payload: Mapping[str, bytes]) -> list[str | bytes]:
    """Field and value of each, as append.lua takes them; an empty value takes the field away."""
    found: list[str | bytes] = []
    for name, data in payload.items():
        found += (name, cipher.seal(call, name, data) if data else b"")
    return found


async def opened(journal: "RedisJournal", call: str, raw: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """What can be read; UNREADABLE says why the rest cannot. Raises JournalUnavailable if it is only this host that
    cannot."""
    found: dict[str, bytes] = {}
    why: dict[str, None] = {}
    for name, data in raw.items():
        try:
            found[name] = journal.cipher.open(call, name, data)
        except KeyMissing as missing:
            await _others_have_it(journal, missing)
            why[str(missing)] = None
        except Unreadable as damaged:
            why[str(damaged)] = None
    if why:
        found[UNREADABLE] = "; ".join(why).encode()
    return found


async def _others_have_it(journal: "RedisJournal", missing: KeyMissing) -> None:
    newest = await journal.ask("ZREVRANGE", KEYS, "0", "0")
    if newest and newest[0].decode() == missing.key and journal.cipher.ids:
        raise JournalUnavailable(
            f"payloads are encrypted with the payload key {missing.key} by another host, and this one does not have "
            "it: give it the deployment's keys and restart it"
        )
