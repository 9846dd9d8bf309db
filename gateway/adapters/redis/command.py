"""What append.lua is told: one append as a command of Redis, and the names of the keys it touches.

append.lua says what each argument means. Everything of a call, and of its agent, has the same hash tag, so one script
may touch all of it. This file must never decide what is written; it only puts it in order.
"""

import hashlib
from pathlib import Path
from typing import Any

from gateway.adapters.redis.payloads import sealed
from gateway.adapters.redis.scripts import STORED
from gateway.core.codec import encode
from gateway.payload_ports import Cipher
from gateway.ports import Append

APPEND = STORED + (Path(__file__).parent / "append.lua").read_text()
APPEND_SHA = hashlib.sha1(APPEND.encode(), usedforsecurity=False).hexdigest()


def keys(call: str, agent: str) -> tuple[str, ...]:
    """The six fixed keys of append.lua for one call."""
    p = "{" + call[:2] + "}"
    return (
        f"{p}:call:{call}", f"{p}:ledger", f"{p}:due", f"{p}:payload:{call}", f"{p}:suspended:{agent}", f"{p}:outbox",
    )  # fmt: skip


def pointer_key(partition: str, kind: str, name: str) -> str:
    return "{" + partition + "}:" + kind + ":" + name


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def command_of(append: Append, cipher: Cipher) -> tuple[Any, ...]:
    """EVALSHA with everything append.lua expects, in its order."""
    upkeep, payload, notices = append.upkeep, append.payload, append.notices
    call, pointers = append.call, upkeep.pointers
    partition = call[:2]
    named = [f"{{{partition}}}:{pointer.kind}:{pointer.name}" for pointer in pointers]
    arguments: list[Any] = [
        "EVALSHA", APPEND_SHA, str(6 + len(named)), *keys(call, append.agent), *named,
        call, str(append.expected), append.token, "1" if append.guarded else "0",
        _text(upkeep.due_in), _text(upkeep.expire_in), "".join([f"{other} " for other in append.beside]),
        str(len(append.facts)), *map(encode, append.facts), str(len(payload) if payload else 0),
    ]  # fmt: skip
    if payload:
        arguments += sealed(cipher, call, payload)
    arguments.append(str(len(notices)))
    for notice, delay in notices:
        arguments += (notice, _text(delay))
    for pointer in pointers:
        arguments += (pointer.mode, f"{pointer.ttl or 0}/{pointer.most}" if pointer.most else _text(pointer.ttl))
    return tuple(arguments)
