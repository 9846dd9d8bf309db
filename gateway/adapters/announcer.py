"""One JSON line per verdict, outcome and refusal on standard output, without payload: what every cluster collects.

It is a convenience, not the record: the lines are written after the facts are durable, gathered for a moment so
that a busy process pays one system call for many. It must never block or fail a call.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from threading import Thread

import orjson

from gateway.core.call import Call
from gateway.core.facts import Answered, Cancelled, Expired, Fact, Judged, Lost, Rejected, Resolved, Unsent, Withdrawn
from gateway.core.times import moment

DECIDING = frozenset({Judged, Answered, Lost, Unsent, Rejected, Expired, Withdrawn, Cancelled, Resolved})
"""Kinds of facts of which a line tells."""
TEXTS_KEPT = 600
"""A minute of lines, while their reader pauses."""
GATHER_SECONDS = 0.1


@dataclass(slots=True)
class Announcer:
    descriptor: int = field(default_factory=lambda: sys.stdout.fileno())  # noqa: PLW0108 - stdout of that moment
    _waiting: list[tuple[Call, Sequence[Fact]]] = field(default_factory=list)
    _texts: Queue[bytes] = field(default_factory=lambda: Queue(TEXTS_KEPT))
    _writer: Thread | None = None

    def announce(self, call: Call, facts: Sequence[Fact]) -> None:
        """Say, in a moment, what these facts, just written, decided."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.write)
        self._waiting.append((call, facts))

    def refused(self, line: Mapping[str, object]) -> None:
        """Say that a request was refused before there was a call."""
        self._hand_over(orjson.dumps(line) + b"\n")

    def _lines(self) -> Iterator[bytes]:
        """Made together and not one by one: the same code over and over costs half."""
        waiting, self._waiting = self._waiting, []
        for call, facts in waiting:
            if line := _told(call, facts):
                yield line

    def write(self) -> None:
        """Write what was gathered. A reader that is gone or slow loses lines, not calls."""
        lines = list(self._lines())
        if lines:
            self._hand_over(b"\n".join(lines) + b"\n")

    def _hand_over(self, text: bytes) -> None:
        """To a thread: a full pipe stops whoever writes to it, and that must never be the one that sends effects."""
        if self._writer is None:
            self._writer = Thread(target=_write_all, args=(self.descriptor, self._texts), name="announcer", daemon=True)
            self._writer.start()
        with suppress(Full):  # the reader is slow or stuck: these lines are lost, and nothing else
            self._texts.put_nowait(text)


def _write_all(descriptor: int, texts: Queue[bytes]) -> None:
    while True:
        text = texts.get()
        with suppress(OSError):  # nobody reads any more
            while text:
                text = text[os.write(descriptor, text) :]


def _told(call: Call, facts: Sequence[Fact]) -> bytes:
    """One line, or nothing if these facts decided nothing."""
    line: dict[str, object] = {
        "at": moment(facts[-1].at), "call": call.id, "agent": call.agent, "tool": call.tool,
    }  # fmt: skip
    decided = False
    for fact in facts:
        if type(fact) in DECIDING:
            decided = True
            _tell(line, call, fact)
    return orjson.dumps(line) if decided else b""


def _tell(line: dict[str, object], call: Call, fact: Fact) -> None:
    match fact:
        case Judged(verdict=verdict):
            line["verdict"] = verdict.decision
            line["policies"] = verdict.policies
            line["generation"] = fact.generation[:12]
            if verdict.granted:
                line["grants"] = [item.grant for item in verdict.granted]
        case Answered(status=status):
            line["outcome"], line["status"] = "answered", status
        case Lost():
            line["outcome"] = "in doubt" if call.acts else "unreachable"
        case Unsent():
            line["outcome"] = "unreachable"
        case _:
            line["outcome"] = type(fact).__name__.lower()
