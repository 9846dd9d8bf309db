"""Held calls by the hundred thousand, as a gateway would have written them, and what the journal says of them."""

import asyncio
import random
import secrets
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.processes import BenchError
from gateway.adapters.embedded import embedded_url
from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.redis.command import keys
from gateway.adapters.redis.journal import RedisJournal
from gateway.core.facts import Admitted, Asked, Expired, Fact, Judged, Notified
from gateway.core.pointers import upkeep
from gateway.core.record import Record, after, begin
from gateway.payload_keys import FILE, read_keys
from gateway.ports import Append

AT_ONCE = 400
"""Appends under way together: they share pipelines, as those of a busy worker do."""
LEAST_HOURS, MOST_HOURS = 2, 24
LOOKS = 200
SOON = 200
"""Holds that end while the steward is watched."""
SOON_MS = 6_000
SAMPLED = 500

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """A call that was really held, and heard of."""

    facts: list[Fact]
    payload: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Written:
    per_second: float
    bytes: float
    """Redis memory of one hold, everything included."""
    payload: float
    parts: tuple[tuple[str, float], ...]


async def templates(journal: RedisJournal, calls: Iterable[str]) -> list[Template]:
    found = []
    for call in calls:
        for _ in range(200):
            facts = await journal.facts(call)
            if any(isinstance(fact, Notified) and fact.done for fact in facts):
                break
            await asyncio.sleep(0.05)
        else:
            raise BenchError(f"nobody heard of call {call}")
        found.append(Template(facts, dict(await journal.payload(call))))
    return found


def again(template: Template, expire: int) -> tuple[list[Fact], str]:
    """The same facts for a call of its own, which ends after `expire` milliseconds."""
    first = template.facts[0]
    assert isinstance(first, Admitted)
    old = first.call.id
    new = old[:2] + secrets.token_hex(len(old) // 2 - 1)
    key, match = secrets.token_hex(20), secrets.token_hex(32)  # as long as real ones
    begun = Admitted(call=replace(first.call, id=new, key=key, match=match))
    return [begun, *(_renamed(fact, old, new, expire) for fact in template.facts[1:])], new


def _renamed(fact: Fact, old: str, new: str, expire: int) -> Fact:
    match fact:
        case Asked():
            notices = tuple(replace(notice, id=notice.id.replace(old, new)) for notice in fact.notices)
            return replace(fact, expire=expire, notices=notices)
        case Notified():
            return replace(fact, notice=fact.notice.replace(old, new))
        case _:
            return fact


async def put(journal: RedisJournal, template: Template, expire: int) -> str:
    """Two appends, as a gateway makes them: the question with its notices, then what came of those."""
    facts, call = again(template, expire)
    now = journal.now()
    facts = [replace(fact, at=now) for fact in facts]
    asking = [fact for fact in facts if not isinstance(fact, Notified)]
    hearing = [fact for fact in facts if isinstance(fact, Notified)]
    notices = [notice.id for fact in asking if isinstance(fact, Asked) for notice in fact.notices]
    first = _append(asking, [], now)
    await journal.append(replace(first, payload=template.payload, notices=tuple((it, 600_000) for it in notices)))
    await journal.append(replace(_append(hearing, asking, now), notices=tuple((it, None) for it in notices)))
    return call


def _append(facts: list[Fact], before: list[Fact], now: int) -> Append:
    """What an engine would append, with the upkeep that core demands."""
    record = folded([*before, *facts])
    generation = next(fact.generation for fact in (*before, *facts) if isinstance(fact, Judged))
    return Append(
        call=record.call.id, agent=record.call.agent, expected=len(before), token=secrets.token_hex(8),
        facts=tuple(facts), upkeep=upkeep(record, now=now, today=generation, fresh=not before),
    )  # fmt: skip


def folded(facts: list[Fact]) -> Record:
    first, *rest = facts
    assert isinstance(first, Admitted)
    record = begin(first)
    for fact in rest:
        record = after(record, fact)
    return record


async def write(data: Path, calls: dict[str, str], holds: int) -> Written:
    journal = RedisJournal.open(embedded_url(data), cipher=PayloadCipher(read_keys("", data / FILE)))
    try:
        await journal.learn_time()
        made = await templates(journal, calls.values())
        before, began, room = await _used(journal), time.perf_counter(), asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> str:
            async with room:
                hours = LEAST_HOURS + (MOST_HOURS - LEAST_HOURS) * random.random()
                return await put(journal, made[number % len(made)], round(hours * 3_600_000))

        written = await asyncio.gather(*(one(number) for number in range(holds)))
        seconds = time.perf_counter() - began
        payload = statistics.mean(sum(len(name) + len(value) for name, value in it.payload.items()) for it in made)
        per_hold = (await _used(journal) - before) / holds
        return Written(holds / seconds, per_hold, payload, await _parts(journal, random.sample(written, SAMPLED), made))
    finally:
        await journal.close()


async def _used(journal: RedisJournal) -> int:
    said = await journal.ask("INFO", "memory")
    text = said.decode() if isinstance(said, bytes) else said
    return next(int(line.partition(":")[2]) for line in text.splitlines() if line.startswith("used_memory:"))


async def _parts(journal: RedisJournal, calls: list[str], made: list[Template]) -> tuple[tuple[str, float], ...]:
    """What Redis itself says of the keys of some holds; sets and streams that many share are divided among them."""

    async def size(key: str) -> int:
        return int(await journal.ask("MEMORY", "USAGE", key, "SAMPLES", "0") or 0)

    async def shared(name: str, counting: str) -> float:
        key = f"{{{calls[0][:2]}}}:{name}"
        return await size(key) / max(1, int(await journal.ask(counting, key)))

    facts = [await journal.facts(call) for call in calls[:SAMPLED]]
    pointers = []
    for call, found in zip(calls, facts, strict=True):
        first = found[0]
        assert isinstance(first, Admitted)
        names = (f"key:{first.call.key}", f"open:{first.call.match}", f"executing:{first.call.match}")
        pointers.append(sum([await size(f"{{{call[:2]}}}:{name}") for name in names]))
    return (
        ("its list of facts", statistics.mean([await size(keys(call, "")[0]) for call in calls])),
        ("its payload's key, the payload included", statistics.mean([await size(keys(call, "")[3]) for call in calls])),
        ("its pointers", statistics.mean(pointers)),
        ("its place in the due times", await shared("due", "ZCARD")),
        ("its place in the list of held calls", await shared("held:all", "ZCARD")),
        ("its entries in the ledger, which stay for ever", 2 * await shared("ledger", "XLEN")),
    )


async def due(data: Path, calls: dict[str, str], say: Callable[[str], None]) -> list[Row]:
    """How long it takes to ask what is due, and how late the steward is for what becomes due."""
    journal = RedisJournal.open(embedded_url(data), cipher=PayloadCipher(read_keys("", data / FILE)))
    try:
        await journal.learn_time()
        asked = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            await journal.due(100)
            asked.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.01)
        made = await templates(journal, list(calls.values())[:8])
        soon = await asyncio.gather(*(put(journal, made[number % 8], SOON_MS) for number in range(SOON)))
        say(f"{SOON} more end in {SOON_MS / 1000:g} s")
        await asyncio.sleep(SOON_MS / 1000 + 4)
        late = []
        for call in soon:
            facts = await journal.facts(call)
            question = next(fact for fact in facts if isinstance(fact, Asked))
            over = [fact.at for fact in facts if isinstance(fact, Expired)]
            if not over:
                raise BenchError(f"call {call} did not expire in time")
            late.append(over[0] - question.at - question.expire)
    finally:
        await journal.close()
    asked.sort()
    late.sort()
    return [
        ("to ask what is due, median", f"{statistics.median(asked):.2f} ms"),
        ("to ask what is due, 99 of 100", f"{asked[len(asked) * 99 // 100]:.2f} ms"),
        (f"{SOON} that end at once: how late the median is", f"{statistics.median(late):.0f} ms"),
        (f"{SOON} that end at once: how late the last is", f"{late[-1]:.0f} ms"),
    ]
