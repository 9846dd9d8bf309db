"""The memory journal says in Python what append.lua says in Lua. Whatever is done to both, they answer the same.

Every story draws from few calls, tokens and pointers, so that conflicts, replays and taken pointers are common. Times
are either long over or far away, so that the clock decides nothing.
"""

import asyncio
import itertools
import random
from dataclasses import replace

import pytest

from gateway.core.call import call_id
from gateway.core.facts import Abandoned, Delivered
from gateway.core.pointers import Pointer, Upkeep
from gateway.ports import Append
from tests.contracts.journal_bench import AGENT, FIRST, MemoryBench, RedisBench, attempt, timeless
from tests.playbook import ALLOW, CALL, HOLD, answered, claimed, lost

AGES = 24 * 3_600_000
FACTS = (ALLOW, HOLD, claimed(), answered(), lost(), Abandoned(), Delivered())
NAMES = ("p", "q", "r")
LASTING = {"join": (AGES, 2 * AGES), "look": (AGES,), "stay": (None, AGES, 3 * AGES), "leave": (None,)}
STEPS = 60


def draw_append(dice: random.Random, calls: tuple[str, ...], lengths: dict[str, int], past: list[Append]) -> Append:
    if past and dice.random() < 0.2:
        return dice.choice(past)  # its reply was lost, some time ago
    call = dice.choice(calls)
    right = lengths[call]
    expected = right if dice.random() < 0.8 else dice.choice((0, 1, right + 1, max(0, right - 1)))
    facts = tuple(dice.choices(FACTS, k=dice.randint(1, 3)))
    pointers = {
        (kind, name): Pointer(
            name,
            kind,
            dice.choice(("take", "test", "hold", "free")),
            dice.choice((None, AGES)),
        )
        for kind in ("key", "open")
        for name in dice.sample(NAMES, dice.randint(0, 2))
    }
    pointers |= {
        ("executing", name): Pointer(
            name, "executing", mode := dice.choice(("join", "look", "stay", "leave")), dice.choice(LASTING[mode])
        )
        for name in "pq"
    }
    if dice.random() < 0.2:
        pointers["questions", ""] = Pointer(AGENT, "questions", "count", AGES, dice.choice((1, 2, 3)))
    if dice.random() < 0.1:
        pointers["grant", ""] = Pointer("p", dice.choice(("grant", "key")), "need")
    pointers["held", "all"] = Pointer("all", "held", dice.choice(("wait", "over")), AGES)
    return Append(
        call=call,
        agent=AGENT,
        expected=expected,
        token=f"{dice.randrange(10**16):016d}",
        facts=facts if expected else (replace(FIRST, call=replace(CALL, id=call)), *facts),
        upkeep=Upkeep(tuple(pointers.values()), dice.choice((None, 0, AGES)), dice.choice((None, None, AGES))),
        beside=tuple(dice.sample(calls, dice.randint(0, len(calls)))),
        guarded=dice.random() < 0.3,
        payload={name: dice.randbytes(4) for name in ("request", "answer") if dice.random() < 0.3},
        notices=tuple((f"n{n}", dice.choice((None, 0, AGES))) for n in range(dice.randint(0, 2))),
    )


async def step(dice: random.Random, benches, calls, past) -> None:
    memory = benches[0]
    match dice.choices(("append", "touch", "rearm", "forget", "leave", "suspend"), (20, 2, 2, 1, 3, 2))[0]:
        case "append":
            lengths = {call: await memory.journal.length(call) for call in calls}
            append = draw_append(dice, calls, lengths, past)
            past.append(append)
            outcomes = [await attempt(bench.journal.append(append)) for bench in benches]
            assert outcomes[0] == outcomes[1], append
        case "touch":
            call, name = dice.choice(calls), dice.choice(NAMES)
            for bench in benches:
                await bench.journal.touch(call, AGENT, name, 2 * AGES)
        case "rearm":
            call, delay = dice.choice(calls), dice.choice((0, AGES))
            for bench in benches:
                await bench.journal.rearm(call, delay)
        case "forget":
            call = dice.choice(calls)
            for bench in benches:
                await bench.journal.forget(call)
        case "leave":
            call, name = dice.choice(calls), dice.choice("pq")
            for bench in benches:
                bench.journal.leave(call, name)
        case "suspend":
            act = dice.choice(("suspend", "readmit"))
            for bench in benches:
                await getattr(bench, act)(AGENT)


async def state(bench, calls) -> dict[str, object]:
    """Everything that can be seen, without exact times."""
    pointers = {}
    for kind, name in itertools.product(("key", "open"), NAMES):
        found = await bench.pointer(kind, name)
        pointers[kind, name] = found and (found[0], found[1] and round(found[1] / AGES))
    sent = {name: (calls, end and round(end / AGES)) for name in "pq" for calls, end in [await bench.sent(name)]}
    return {
        "sent": sent,
        "facts": {call: timeless(await bench.journal.facts(call)) for call in calls},
        "lengths": {call: await bench.journal.length(call) for call in calls},
        "payload": {call: dict(await bench.journal.payload(call)) for call in calls},
        "lifetimes": {call: (end := await bench.lifetime(call)) and round(end / AGES) for call in calls},
        "pointers": pointers,
        "due": set(await bench.journal.due(99)),
        "outbox": set(await bench.journal.outbox(99)),
        "held": {call for call in calls if await bench.is_held(call)},
    }


@pytest.mark.parametrize("seed", range(25))
def test_memory_and_redis_answer_the_same(seed, valkey):
    valkey.flush()

    async def story() -> None:
        dice = random.Random(seed)
        calls = tuple(call_id(AGENT, f"{number:020d}") for number in range(3))
        benches = (MemoryBench(), RedisBench(valkey.url))
        past: list[Append] = []
        try:
            for _ in range(STEPS):
                await step(dice, benches, calls, past)
            await asyncio.sleep(0.005)  # what is due at once is due now on both clocks
            memory, redis = [await state(bench, calls) for bench in benches]
            assert memory == redis
        finally:
            await benches[1].close()

    asyncio.run(story())
