"""Promise 2 and 7 under fire: processes are killed at random while agents repeat themselves and the system misbehaves.

    TORTURE_SECONDS=300 TORTURE_SEED=7 pytest tests/torture/test_torture.py -s

The seed fixes who is killed when and what the system does to its n-th request; what the machine makes of it is not
repeatable, so a failure prints the whole life of the calls concerned.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gateway.adapters.embedded import embedded_url
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.audit.verify import verified
from gateway.core.record import recall
from gateway.core.timeline import state
from gateway.ports import JournalUnavailable
from tests.gateway_process import Gateway, serving
from tests.processes import PATIENCE_SECONDS
from tests.sealed_journal import all_sealed, verifier_of
from tests.torture import evidence as ev
from tests.torture.agents import Crowd, Order, Told
from tests.torture.effects import EffectSystem
from tests.torture.killer import Killer
from tests.torture.people import Approver
from tests.torture.scene import HELD, POLICIES, SETTINGS, SMALL, TIMEOUT_SECONDS, document

SECONDS = float(os.environ.get("TORTURE_SECONDS", "16"))
SEED = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(10**6))
AGENTS = 24
PAUSE = (0.4, 1.6) if SECONDS <= 60 else (0.6, 4.0)
MOST = 8
"""On a machine that is slow it goes on until everything was tried, but not more than so many times as long."""


def test_nothing_acts_twice_and_nothing_is_forgotten_while_everything_is_killed() -> None:
    asyncio.run(_torture())


async def _torture() -> None:
    system = EffectSystem(SEED, TIMEOUT_SECONDS)
    crowd = Crowd("", SEED, lambda: False)
    approver = Approver(crowd.fate, crowd.bound)
    upstream, hook = await system.start(), await approver.start()
    secrets = {"APPROVALS_SECRET": approver.secret, "CALLBACK_SECRET": approver.callback_secret}
    try:
        with serving(document(upstream, hook), POLICIES, workers=2, settings=SETTINGS | secrets) as gateway:
            await _act(gateway, system, crowd, approver)
    finally:
        await approver.stop()
        await system.stop()


async def _act(gateway: Gateway, system: EffectSystem, crowd: Crowd, approver: Approver) -> None:
    began = time.monotonic()
    killer = Killer(gateway, SEED, PAUSE)

    def goes_on() -> bool:
        passed = time.monotonic() - began
        return passed < SECONDS or (passed < MOST * SECONDS and not _enough(crowd, killer))

    crowd.url, crowd.goes_on = gateway.agents, goes_on
    async with asyncio.TaskGroup() as group:
        group.create_task(killer.run(goes_on))
        group.create_task(system.outages(goes_on))
        for number in range(AGENTS):
            group.create_task(crowd.run(number))
    system.calm = True
    journal = RedisJournal.open(embedded_url(gateway.data))
    try:
        await _settled(journal)
        asked_again = await _ask_again(crowd)
        found = await ev.read(journal)
    finally:
        await journal.close()
    data = gateway.data
    print(_summary(found, system, crowd, approver, killer, asked_again, time.monotonic() - began))
    sealed = await _verified(data)
    print(f"  sealed   {sealed} facts, all of them in order, and verified from the files alone")
    wrong = [*crowd.wrong, *_contradictions(found, system, crowd)]
    twice = [order for order, done in system.executions.items() if len(done) > 1]
    stories = [ev.story(found, crowd.told, system.arrivals, order) for order in twice[:3]]
    assert not wrong, "\n".join([f"seed {SEED}, {len(wrong)} contradictions:", *wrong[:20], *stories])
    assert not approver.forged
    _everything_was_tried(found, system, crowd, killer)


async def _verified(data: Path) -> int:
    """Verify the log, which has everything that the streams have; how many facts that are."""
    for _ in range(10):  # a fact about a delivery may come between the one and the other
        sealed = await all_sealed(embedded_url(data), data / "ledger", verifier_of(data))
        report = verified(data / "ledger", "", [])
        assert not report.faults, report.faults
        if report.facts == sealed:
            return sealed
    raise AssertionError("the log never has what the streams have")


async def _settled(journal: RedisJournal) -> None:
    """Wait until nothing is due any more but what only a person can settle.

    The claim of a process that was killed outlives the timeout by five seconds; then holds and pauses of restarts.
    """
    ledger, deadline = RedisLedger(journal), time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            states = {call: state(recall(await journal.facts(call))) for call in await ledger.unsettled()}
            if all(found == "in doubt" for found in states.values()):
                return
        except JournalUnavailable:
            states = {"": "the journal does not answer"}
        assert time.monotonic() < deadline, f"seed {SEED}: it never settled: {states}"
        await asyncio.sleep(0.2)


async def _ask_again(crowd: Crowd) -> int:
    """Long after: whoever was told yes is told the same again; whoever was told nobody knows, is told that again."""
    last: dict[tuple[str, str, str], Told] = {}
    for told in crowd.told:
        if told.key and (told.acknowledged or told.slug == "outcome-unknown"):
            last.setdefault((told.agent, told.order, told.key), told)
    dice = random.Random(SEED)
    chosen = dice.sample([*last.values()], min(len(last), 120))
    for told in chosen:
        order = Order(crowd, dice, told.agent, f"again {told.tool}", told.order, told.key)
        amount = HELD if told.order.startswith("held") else SMALL
        if told.acknowledged:
            await order.again(told, amount)
        else:
            await _still_unknown(order, told, amount)
    return len(chosen)


async def _still_unknown(order: Order, first: Told, amount: int) -> None:
    """A doubt stays one, unless the late truth came in; in no case is anything sent."""
    told = None
    for _ in range(5):  # a worker may still be starting
        told = told or await order.once(first.key, amount, patience=PATIENCE_SECONDS)
    answers = told is not None and (
        told.slug in ("outcome-unknown", "answer-not-kept") or (told.acknowledged and told.replayed)
    )
    if told is None or not answers or told.call != first.call:
        order.crowd.wrong.append(f"a doubt was forgotten: first {first}, then {told}")


def _contradictions(found: ev.Evidence, system: EffectSystem, crowd: Crowd) -> Iterator[str]:
    yield from ev.nothing_acted_twice(found, crowd.told, system.executions)
    yield from ev.nothing_denied_was_sent(system.arrivals)
    yield from ev.every_send_was_claimed(found, system.arrivals)
    yield from ev.every_effect_is_recorded(found, system.executions)
    yield from ev.every_acknowledgement_is_recorded(found, crowd.told, system.executions)
    yield from ev.every_key_is_bound(found, crowd.told)
    yield from ev.ledger_and_calls_agree(found)
    yield from ev.every_life_is_legal(found)
    yield from ev.everything_is_settled(found)


def _enough(crowd: Crowd, killer: Killer) -> bool:
    """Whether agents were told so much that what `_everything_was_tried` asks for must have happened."""
    calls: dict[str, set[str]] = {}
    for told in crowd.told:
        calls.setdefault("yes" if told.acknowledged else told.slug, set()).add(told.call)
    wanted = {"yes": 60, "outcome-unknown": 4, "policy-denied": 1, "upstream-unreachable": 1}
    killed = {"kill worker", "kill steward", "kill valkey"} <= set(killer.blows)
    return killed and all(len(calls.get(kind, ())) >= number for kind, number in wanted.items())


def _everything_was_tried(found: ev.Evidence, system: EffectSystem, crowd: Crowd, killer: Killer) -> None:
    """A torture in which nothing happened proves nothing."""
    states = Counter(state(found.record(call)) for call in found.calls)
    assert states["answered"] > 50 and states["in doubt"] and states["denied"] and states["unreachable"], states
    assert {"kill worker", "kill steward", "kill valkey"} <= set(killer.blows) or SECONDS < 10, killer.blows
    assert any(told.replayed for told in crowd.told)


def _summary(
    found: ev.Evidence,
    system: EffectSystem,
    crowd: Crowd,
    approver: Approver,
    killer: Killer,
    again: int,
    seconds: float,
) -> str:
    def listed(counts: Counter[str]) -> str:
        return ", ".join(f"{name} {count}" for name, count in counts.most_common())

    states = Counter(state(found.record(call)) for call in found.calls)
    effects = sum(map(len, system.executions.values()))
    told = Counter(item.slug or f"{item.status}{' replayed' if item.replayed else ''}" for item in crowd.told)
    return "\n".join(
        [
            f"torture, seed {SEED}, {SECONDS:g} s of it, {seconds:.0f} s in all",
            f"  blows    {listed(killer.blows)}",
            f"  orders   {listed(crowd.orders)}",
            f"  told     {listed(told)}",
            f"  torn     {listed(crowd.torn)}",
            f"  people   {sum(approver.heard.values())} notices, {listed(approver.said)}",
            f"  system   {len(system.arrivals)} sends, {effects} effects, {listed(system.moods)}",
            f"  journal  {len(found.calls)} calls: {listed(states)}; {again} asked again at the end",
        ]
    )
