"""Checkpoints for somebody else: what of the log an anchor has not got yet, and the message that brings it.

The newest checkpoint of a log stands for all that were before it, since a log only grows: an anchor that was away for
a day gets one message, and an auditor who has that one needs no other.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.times import iso


def changed(notes: Mapping[str, bytes], delivered: Mapping[str, bytes]) -> dict[str, bytes]:
    """The checkpoints that an anchor has not got."""
    return {name: note for name, note in sorted(notes.items()) if delivered.get(name) != note}


def message(notes: Mapping[str, bytes], origin: str, now: int) -> bytes:
    """The body for a webhook. `now`: milliseconds since the epoch."""
    data: dict[str, Any] = {"origin": origin, "checkpoints": [note.decode() for note in notes.values()]}
    return orjson.dumps({"type": "ledger.checkpoints", "timestamp": iso(now), "data": data})
