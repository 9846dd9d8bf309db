"""Where in the log each call is, and what it can be searched for: `index.sqlite` beside the sealed log.

It is derived from the log, and can be thrown away at any time: it is made anew when it is missing, damaged, of another
version, or of another log. Whoever opens it reads what was sealed since it was last looked at. In a directory that
cannot be written, it is made in memory. Nothing is ever proved from it: it says where to look, and what stands there
is verified against the signed checkpoint. An auditor who does not trust whoever had the directory leaves it behind.
"""

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import orjson

from gateway.core.deployment import DEPLOYMENT
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.finding import leaves_at, whole
from gateway.ledger.gist import UNREADABLE, Gist, Plain, number, outcome_of, quick_outcome, text
from gateway.ledger.index_file import NAME, as_line, damaged, in_memory, on_disk, unwritable
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.note import Checkpoint

CHUNK = 8192
"""Leaves in one transaction: short enough that nobody who reads meanwhile waits long."""
NAMES = ("agent", "tool", "system", "outcome", "user", "run")
"""Columns that a filter wants as they are."""
LISTS = {"person": "people", "resource": "resources", "policy": "policies"}
"""Columns with several names in them: each as JSON, between line feeds, so that none is a part of another."""
SOUGHT = ("id", "agent", "user", "run", "tool", "resource", "people", "resources", "policies")
"""Columns that free text is looked for in."""
COLUMNS = tuple(each.name for each in fields(Gist))
SELECT = f"SELECT {', '.join(COLUMNS)} FROM subject"  # noqa: S608 - names of our own columns
INSERT = f"INSERT OR REPLACE INTO subject ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What is wanted of a call. Empty: anything."""

    beginning: str = ""
    """How its id begins."""
    agent: str = ""
    tool: str = ""
    system: str = ""
    resource: str = ""  # what it is about, or ever was
    outcome: str = ""
    """A state, as `timeline.state` names it."""
    person: str = ""
    """Who had a part in it: decided, cancelled, settled, or was acted for; not who only looked."""
    policy: str = ""
    user: str = ""
    run: str = ""
    since: int = 0
    """Milliseconds: calls that began then or later."""
    until: int = 0
    """Milliseconds: calls that began before. 0: whenever."""
    text: str = ""
    """Somewhere in its id or its names, in any case."""
    kind: Literal["call", "grant"] = "call"


@dataclass(frozen=True, slots=True)
class Noted:
    """One fact about the deployment: where it is, and whom or what it is about."""

    leaf: int
    at: int
    type: str
    about: str
    """A generation, an agent, or nothing."""


@dataclass(slots=True)
class Index:
    """Not for two threads at once."""

    ledger: Path
    base: sqlite3.Connection
    in_memory: bool
    known: dict[str, Checkpoint] = field(default_factory=dict)
    """Of each partition, up to where this process has seen it read."""

    @classmethod
    def open(cls, ledger: Path, *, afresh: bool = False) -> Self:
        """The index of the log in `ledger`, as far as it was read. `afresh`: in memory, and of nothing there before.

        Never fails for what is in the file: what cannot be used is made anew.
        """
        base = None if afresh else on_disk(ledger / NAME)
        return cls(ledger, base or in_memory(None if afresh else ledger / NAME), in_memory=base is None)

    def close(self) -> None:
        self.base.close()

    def catch_up(self, limit: int = 0) -> int:
        """Read what was sealed since, at most about `limit` leaves if it is not 0, and say how many those were.

        0: it is up to date. Raises Damaged, which says what is wrong with the log; what was read before stays read.
        """
        return self._sound(lambda: self._read_on(limit))

    def _read_on(self, limit: int) -> int:
        read = 0
        for partition in self.partitions():
            for count in self._partition(partition):
                read += count
                if limit and read >= limit:
                    return read
        return read

    def _sound(self, work: Callable[[], Result]) -> Result:
        """What `work` gives; after making the index anew if its file is damaged, or cannot be written any more."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if self.in_memory or not (damaged(error) or unwritable(error)):
                raise
            wrong = damaged(error)
        self.base.close()
        self.known.clear()
        base = on_disk(self.ledger / NAME, afresh=True) if wrong else None
        self.base, self.in_memory = base or in_memory(None if wrong else self.ledger / NAME), base is None
        self._read_on(0)
        return work()

    def partitions(self) -> list[str]:
        """Whose log is in the directory."""
        with suppress(OSError):
            return sorted(path.name for path in self.ledger.iterdir() if len(path.name) == 2 and path.name.isdecimal())
        return []

    def behind(self) -> int:
        """How many leaves `catch_up` would read. Raises Damaged."""
        sizes = {name: LogFiles.open(self.ledger, name).size for name in self.partitions()}
        known = dict(self.base.execute("SELECT partition, size FROM place"))
        return sum(max(0, size - known.get(name, 0)) for name, size in sizes.items())

    def find(self, filters: Filters, limit: int, before: str = "") -> list[Gist]:
        """What fits, at most `limit`, newest first; `before`: only what is older than that one (see `mark`)."""
        where, values = _wanted(filters)
        if before:
            begun, _, name = before.partition(".")
            where.append("(begun, id) < (?, ?)")
            values += [int(begun) if begun.isdecimal() else 0, name]
        sql = f"{SELECT} WHERE {' AND '.join(where)} ORDER BY begun DESC, id DESC LIMIT ?"
        return self._sound(lambda: [_gist(row) for row in self.base.execute(sql, [*values, limit])])

    def get(self, name: str) -> Gist | None:
        """The call or grant with that id."""
        row = self._sound(lambda: self.base.execute(f"{SELECT} WHERE id = ?", (name,)).fetchone())
        return _gist(row) if row else None

    def beginning(self, with_: str, most: int = 10) -> list[str]:
        """Ids of calls and grants that begin so."""
        sql = "SELECT id FROM subject WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
        return [row[0] for row in self.base.execute(sql, (with_, f"{with_}\U0010ffff", most))]

    def deployment(self, type_: str = "", about: str = "") -> list[Noted]:
        """Facts about the deployment, oldest first."""
        sql = "SELECT leaf, at, type, about FROM deployment WHERE ? IN ('', type) AND ? IN ('', about) ORDER BY leaf"
        return [Noted(*row) for row in self.base.execute(sql, (type_, about))]

    def _partition(self, partition: str) -> Iterator[int]:
        """Read on in the log of one partition, chunk by chunk; how many leaves each had."""
        log = LogFiles(self.ledger / partition)
        checkpoint = log.checkpoint()
        if checkpoint is None or checkpoint == self.known.get(partition):
            return
        log.size, end = checkpoint.size, -1
        while end != log.size:
            self.base.execute("BEGIN IMMEDIATE")
            try:
                start = self._start(partition, log)
                end = min(start + CHUNK, log.size)
                if start < end:
                    last = self._take(log, start, end)
                    place = (partition, end, leaf_hash(last))
                    self.base.execute("INSERT OR REPLACE INTO place VALUES (?, ?, ?)", place)
            except BaseException:
                if self.base.in_transaction:  # a full disk has undone it already
                    self.base.execute("ROLLBACK")
                raise
            self.base.execute("COMMIT")
            if start < end:
                yield end - start
        self.known[partition] = checkpoint

    def _start(self, partition: str, log: LogFiles) -> int:
        """How far it was read. If the log is not the one that was read, all of it is forgotten."""
        found = self.base.execute("SELECT size, hash FROM place WHERE partition = ?", (partition,)).fetchone()
        if found is None:
            return 0
        size, known = found
        if size <= log.size and leaf_hash(next(log.leaves(size - 1, size))) == known:
            return int(size)
        self.base.execute("DELETE FROM place WHERE partition = ?", (partition,))
        for beginning in (partition, f"grant-{partition}"):
            self.base.execute("DELETE FROM subject WHERE instr(id, ?) = 1", (beginning,))
        if partition == DEPLOYMENT:
            self.base.execute("DELETE FROM deployment")
        return 0

    def _take(self, log: LogFiles, start: int, end: int) -> bytes:
        """Note the leaves [start, end); the last of them."""
        chunk = _Chunk(log, self.get)
        leaf = b""
        for index, leaf in enumerate(log.leaves(start, end), start):
            chunk.take(index, leaf)
        self.base.executemany(INSERT, map(_row, chunk.settled()))
        self.base.executemany("INSERT OR REPLACE INTO deployment VALUES (?, ?, ?, ?)", chunk.notes)
        return leaf


@dataclass(slots=True)
class _Chunk:
    """Leaves that follow each other, by what they are about."""

    log: LogFiles
    get: Callable[[str], Gist | None]
    gists: dict[str, Gist] = field(default_factory=dict)
    told: dict[str, list[Plain]] = field(default_factory=dict)
    notes: list[tuple[int, int, str, str]] = field(default_factory=list)

    def take(self, index: int, leaf: bytes) -> None:
        """What cannot be read is passed over here; `gateway audit verify` is who names it."""
        with suppress(ValueError, KeyError, TypeError, AttributeError, Damaged):
            plain = orjson.loads(whole(self.log, leaf))
            fact = plain["fact"]
            kind: Any = next((kind for kind in ("call", "grant") if kind in plain), "gateway")
            if kind == "gateway":
                about = text(fact.get("generation")) or text(fact.get("agent"))
                self.notes.append((index, number(plain["at"]), text(fact["type"]), about))
            elif name := text(plain[kind]):
                if name not in self.gists:
                    known = self.get(name) if plain["position"] else None
                    self.gists[name] = known or Gist(name, kind)
                    self.told[name] = []
                self.gists[name].tell(index, plain)
                self.told[name].append(fact)

    def settled(self) -> Iterable[Gist]:
        for name, gist in self.gists.items():
            if gist.kind == "call":
                gist.outcome = quick_outcome(gist.outcome, self.told[name]) or self._outcome(gist)
            yield gist

    def _outcome(self, gist: Gist) -> str:
        try:
            return outcome_of(leaves_at(self.log, gist.leaves))
        except Damaged:
            return UNREADABLE


def mark(gist: Gist) -> str:
    """Names the place of a row in the order of `find`, for its `before`."""
    return f"{gist.begun}.{gist.id}"


def _wanted(filters: Filters) -> tuple[list[str], list[Any]]:
    """Conditions, and the values in them."""
    wanted: list[tuple[str, Any]] = [("kind = ?", filters.kind)]
    wanted += [(f"{name} = ?", each) for name in NAMES if (each := getattr(filters, name))]
    for name, column in LISTS.items():
        if each := getattr(filters, name):
            wanted.append((f"instr({column}, ?)", f"\n{as_line(each)}\n"))
    if filters.beginning:
        wanted += [("id >= ?", filters.beginning), ("id < ?", f"{filters.beginning}\U0010ffff")]
    times = (("begun >= ?", filters.since), ("begun < ?", filters.until))
    wanted += [each for each in times if each[1]]
    where, values = [clause for clause, _ in wanted], [value for _, value in wanted]
    if filters.text:
        like = "%" + "".join(f"\\{each}" if each in "%_\\" else each for each in filters.text) + "%"
        where.append("(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in SOUGHT) + ")")
        values += [like] * len(SOUGHT)
    return where, values


def _row(gist: Gist) -> tuple[Any, ...]:
    return tuple(_stored(getattr(gist, name)) for name in COLUMNS)


def _stored(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], int):
        return array("Q", value).tobytes()
    return "\n" + "\n".join(map(as_line, value)) + "\n" if value else ""


def _gist(row: Sequence[Any]) -> Gist:
    found = dict(zip(COLUMNS, row, strict=True))
    for column in LISTS.values():
        found[column] = [orjson.loads(line) for line in found[column].split("\n") if line]
    return Gist(**found | {"leaves": array("Q", found["leaves"]).tolist()})
