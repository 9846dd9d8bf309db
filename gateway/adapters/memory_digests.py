"""The contract of `digest_ports.Digests`, kept in memory for tests and readers. It says in Python what the scripts of
`gateway.adapters.redis.digests` say."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.core.quota import Quota
from gateway.digest_ports import Digest, Entry, Told


@dataclass(slots=True)
class Kept:
    waits: dict[str, int] = field(default_factory=dict)
    """Calls, and when the time to decide is over."""
    over: dict[str, int] = field(default_factory=dict)
    """Calls, and the number of that news."""
    numbers: dict[str, int] = field(default_factory=dict)
    last: int = 0
    told: Told | None = None
    not_before: int = 0
    failures: int = 0


@dataclass(slots=True)
class MemoryDigests:
    clock: Callable[[], int]
    """Milliseconds since the epoch."""
    counted: dict[str, dict[str, int]] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)

    async def room(self, group: str, question: str, quota: Quota) -> bool:
        now = self.clock()
        lately = {each: at for each, at in self.counted.get(group, {}).items() if at > now - quota.seconds * 1000}
        if question not in lately and len(lately) >= quota.most:
            return False
        self.counted[group] = {question: now, **lately}
        return True

    async def heard(self, digest: str, notice: str) -> tuple[str, int] | None:
        kept = self.kept.get(digest, Kept())
        number, told = kept.numbers.get(notice), kept.told
        return (told.id, told.status) if number and told and told.covered >= number else None

    async def enter(self, digest: str, entry: Entry, limit: int) -> Digest:
        kept = self.kept.setdefault(digest, Kept())
        if entry.notice not in kept.numbers:
            kept.last += 1
            kept.numbers[entry.notice] = kept.last
        number, told = kept.numbers[entry.notice], kept.told
        covered = told.covered if told else 0
        if number > covered and entry.over:
            kept.waits.pop(entry.call, None)
            kept.over[entry.call] = number
        elif number > covered:
            kept.waits[entry.call] = entry.until
        waiting, over = (sorted(them, key=lambda call: (them[call], call)) for them in (kept.waits, kept.over))
        return Digest(
            number=number, last=kept.last, waiting=len(waiting), calls=tuple(waiting[:limit]), ended=len(over),
            over=tuple(over[:limit]), covered=covered, id=told.id if told else "", status=told.status if told else 0,
            receipt=told.receipt if told else "", began=told.began if told else 0,
            not_before=kept.not_before, failures=kept.failures,
        )  # fmt: skip

    async def leave(self, digest: str, call: str) -> None:
        self.kept.get(digest, Kept()).waits.pop(call, None)

    async def told(self, digest: str, told: Told) -> None:
        kept = self.kept.setdefault(digest, Kept())
        covered = max(told.covered, kept.told.covered if kept.told else 0)
        kept.told = Told(
            id=told.id, status=told.status, receipt=told.receipt, began=told.began, covered=covered,
            not_before=told.not_before,
        )  # fmt: skip
        kept.not_before, kept.failures = told.not_before, 0
        kept.waits = {call: until for call, until in kept.waits.items() if call not in told.gone}
        kept.over = {call: number for call, number in kept.over.items() if number > covered}

    async def failed(self, digest: str, not_before: int) -> None:
        kept = self.kept.setdefault(digest, Kept())
        kept.not_before, kept.failures = not_before, kept.failures + 1
