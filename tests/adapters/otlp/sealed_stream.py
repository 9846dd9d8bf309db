"""The ledger in memory, as the exporter of traces reads it: streams, seals, cursors, calls. It outlives exporters."""

from dataclasses import dataclass, field, replace

from gateway.core.call import Call
from gateway.core.codec import decode, encode, envelope
from gateway.core.facts import Admitted, Answered, Claimed, Delivered, Fact, Judged
from gateway.core.leaf import entry_order, leaves_of, short
from gateway.core.sealed import BEGINNING, Sealed, Seam
from gateway.core.spans import spans_of
from gateway.core.verdict import Verdict
from gateway.ledger.merkle import leaf_hash
from gateway.ports import JournalUnavailable

CALL = Call(
    id="", agent="bot", system="stripe", tool="stripe.refund", effect="write", method="POST", resource="",
    fingerprint="f", match="m", key="k", key_given=False, repeatable=False, keeps_ms=0, keep_ms=0,
)  # fmt: skip
ALLOW = Judged(verdict=Verdict(decision="allow"), generation="g", fingerprint="f")


@dataclass(frozen=True, slots=True)
class Stored:
    id: str
    call: str
    position: int
    facts: tuple[Fact, ...]
    index: int
    leaves: tuple[str, ...]
    fields: dict[bytes, bytes]


@dataclass
class Stream:
    """Of one partition."""

    entries: list[Stored] = field(default_factory=list)
    trimmed: int = 0
    """So many of them are no longer there to be read."""
    sealed: int = 0
    """So many of them are sealed."""
    lost: set[str] = field(default_factory=set)
    """In the log, but no longer in the stream, which was restored from an older state."""
    seams: tuple[Seam, ...] = ()

    @property
    def size(self) -> int:
        return self.entries[-1].index + len(self.entries[-1].leaves) if self.entries else 0


class Ledger:
    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.cursors: dict[str, str] = {}
        self.calls: dict[str, list[Fact]] = {}
        self.clock = 1_763_633_000_000
        self.broken = ""
        self.seals_at_once = True
        self.asked_for: list[str] = []
        """Calls whose facts were read."""

    def append(self, call: str, *facts: Fact) -> None:
        known = self.calls.setdefault(call, [])
        stored = self._write(call[:2], {b"call": call.encode()}, call, len(known), facts)
        known.extend(stored.facts)

    def append_grant(self, partition: str) -> None:
        """About no call. What is in it nobody reads here."""
        self._write(partition, {b"grant": b"grant-1"}, "", 0, (Delivered(),))

    def _write(self, partition: str, about: dict[bytes, bytes], call: str, position: int, facts) -> Stored:
        self.clock += 1
        stream = self.streams.setdefault(partition, Stream())
        envelopes = [envelope(encode(fact), self.clock, "token") for fact in facts]
        fields = about | {b"from": b"%d" % position, b"facts": b"\n".join(envelopes)}
        name = f"{self.clock}-0"
        leaves = tuple(leaf_hash(short(leaf)).hex() for leaf in leaves_of(name.encode(), fields))
        read = tuple(map(decode, envelopes)) if call else ()
        stored = Stored(name, call, position, read, stream.size, leaves, fields)
        stream.entries.append(stored)
        if self.seals_at_once:
            self.seal()
        return stored

    def effect(self, number: int, partition: int = 7) -> str:
        call = f"{partition:02d}{number:020x}"
        self.append(call, Admitted(call=replace(CALL, id=call)), ALLOW, Claimed(token="t", fingerprint="f", lease=1))
        self.append(call, Answered(token="t", status=200))
        self.append(call, Delivered())
        return call

    def seal(self) -> None:
        for stream in self.streams.values():
            stream.sealed = len(stream.entries)

    def seal_one(self, partition: str) -> None:
        self.streams[partition].sealed += 1

    def trim(self, partition: str, entries: int) -> None:
        """The oldest of them are no longer in the stream."""
        self.streams[partition].trimmed = entries

    def restore(self, partition: str, kept: int, cursor: str = "") -> None:
        """Redis comes back with so many entries and that cursor; a person knows of it, so the log is gone on with."""
        stream = self.streams[partition]
        there = [entry for entry in stream.entries if entry.id not in stream.lost]
        stream.lost |= {entry.id for entry in there[kept:]}
        last = there[kept - 1] if kept else None
        seam = Seam(last.id, last.index + len(last.leaves), stream.size) if last else Seam(BEGINNING, 0, stream.size)
        stream.seams = (*(it for it in stream.seams if entry_order(it.entry) < entry_order(seam.entry)), seam)
        self.cursors[partition] = cursor

    # --- LedgerReader ------------------------------------------------------------------------------------------------

    async def places(self, partitions, reader):
        assert reader == "traces"
        return {name: self.cursors.get(name, "") for name in partitions}

    async def sealed(self, partitions):
        found = {}
        for name in partitions:
            stream = self.streams.get(name, Stream())
            if stream.sealed:
                entries = stream.entries[: stream.sealed]
                there = [BEGINNING, *(entry.id for entry in entries if entry.id not in stream.lost)]
                found[name] = Sealed(1, entries[-1].index + len(entries[-1].leaves), b"", there[-1])
        return found

    async def seams(self, partitions):
        return {name: self.streams.get(name, Stream()).seams for name in partitions}

    async def read(self, between, limit):
        return {
            name: [
                (entry.id.encode(), entry.fields)
                for entry in self.streams[name].entries[self.streams[name].trimmed :]
                if entry_order(after or "0-0") < entry_order(entry.id) <= entry_order(until)
                and entry.id not in self.streams[name].lost
            ][:limit]
            for name, (after, until) in between.items()
        }

    async def has(self, partition, entry):
        stream = self.streams[partition]
        return any(stored.id == entry for stored in stream.entries[stream.trimmed :])

    async def move(self, reader, to):
        if self.broken == "move":
            raise JournalUnavailable
        for name, place in to.items():
            before, _, _ = (self.cursors.get(name) or "0-0").partition(" ")
            assert entry_order(place.partition(" ")[0]) > entry_order(before), "a cursor never goes back"
        self.cursors.update(to)

    async def facts(self, call):
        self.asked_for.append(call)
        return self.calls.get(call, [])

    # --- What must come of it ----------------------------------------------------------------------------------------

    @property
    def spans(self):
        """Every span of what is sealed, in order of the partitions."""
        return [
            span
            for stream in self.streams.values()
            for entry in stream.entries[: stream.sealed]
            for span in spans_of(entry, self.calls.get(entry.call, [])[: entry.position])
        ]

    @property
    def ids(self) -> list[str]:
        return [span.span_id for span in self.spans]
