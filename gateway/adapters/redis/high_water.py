"""How far the ledger had come, remembered outside Redis: in every process, and in a file for all of this host.

A Redis that was restored from an older state, or started empty, looks healthy; only somebody who remembers more can
tell. Each process remembers what was acknowledged to it, and compares whenever it connects. The file remembers for
all of them, across restarts of every process: the steward writes it every second, everybody reads it at connecting.

Whoever finds a loss says so in Redis, where the others look every second: one process that knows is enough to stop all
of them. The file must never be written while entries are missing, or the evidence would be gone. What was acknowledged
in the second before everything died at once is not in it; that is the residue.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

Entry = tuple[int, int]
"""Id of a ledger entry: milliseconds by the server's clock, then a number."""

FOUND = "gateway:loss-found"
"""When the last missing entry was written, and the sentence of whoever found that it is missing."""
ACKNOWLEDGED = "gateway:loss-acknowledged"
"""When a person said that a loss is known."""

log = logging.getLogger("gateway.high_water")


@dataclass(slots=True)
class HighWater:
    path: Path
    _written: dict[str, Entry] = field(default_factory=dict)

    def read(self) -> dict[str, Entry]:
        """The last entry of every partition, as far as is known; empty if nothing ever was."""
        try:
            found = orjson.loads(self.path.read_bytes())
            return {partition: (int(milliseconds), int(number)) for partition, (milliseconds, number) in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read, so an older state of Redis may go unnoticed: %s", self.path, error)
            return {}

    def write(self, ends: Mapping[str, Entry]) -> None:
        """Replace what is remembered; only if nothing is missing. Raises OSError."""
        if ends == self._written:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # with a Redis elsewhere nobody made it yet
        draft = self.path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(orjson.dumps(dict(ends)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        self._written = dict(ends)


@dataclass(slots=True)
class Memory:
    """What one process knows to have been acknowledged, and whether the server it is connected to still has it."""

    file: HighWater | None = None
    highest: dict[str, Entry] = field(default_factory=dict)
    """Per partition the last entry that was acknowledged to this process, or to any on this host."""
    loss: str = ""
    """What is missing, and what to do; empty if nothing is, or if a person said that it is known."""
    _missing: int = 0
    """When the last missing entry was written, by the server's clock."""

    def remember(self, partition: str, entry: Entry) -> None:
        if entry > self.highest.get(partition, (0, 0)):
            self.highest[partition] = entry

    def refresh(self) -> None:
        """Take over what the others know."""
        for partition, entry in (self.file.read() if self.file else {}).items():
            self.remember(partition, entry)

    def compare(self, partition: str, last: Entry) -> None:
        """Look whether a ledger that ends there has everything."""
        highest = self.highest[partition]
        if last >= highest:
            return
        self._missing = max(self._missing, highest[0])
        self.loss = self.loss or (
            f"the ledger of partition {partition} ends at {last[0]}-{last[1]}, but {highest[0]}-{highest[1]} was "
            "acknowledged: this server was restored from an older state or failed over to a replica that lacked it. "
            "Effects are stopped. If the loss is known, POST /journal/acknowledge-loss as an operator"
        )

    def miss(self, sentence: str, written: int) -> None:
        """Somebody who remembers by other means found that entries are missing, the last of them written then."""
        self._missing = max(self._missing, written)
        self.loss = self.loss or sentence

    def acknowledgement(self, now: int) -> int:
        """What to write down when a person says that the loss is known. The new server's clock may be slow."""
        return max(now, self._missing)

    async def heed(self, ask: Callable[..., Awaitable[Any]]) -> None:
        """Learn what other processes found, tell them what this one found, and see whether a person knows."""
        told = await ask("GET", FOUND)
        missing, _, sentence = told.decode().partition(" ") if told else ("0", "", "")
        if int(missing) > self._missing:
            self.loss, self._missing = sentence, int(missing)
        if not self.loss:
            return
        at = await ask("GET", ACKNOWLEDGED)
        if at is not None and int(at) >= self._missing:
            # A state that has an earlier acknowledgement is newer than that, so what is missing now was lost later.
            self.loss, self._missing = "", 0
            self.highest.clear()
            await ask("DEL", FOUND)
        elif int(missing) < self._missing:
            await ask("SET", FOUND, f"{self._missing} {self.loss}")
