"""Identical requests under different keys: beside each other while their senders are seen at work, one call if not.

A worker that dies while it sends, or with the answer in its hands, cannot write down that its requester was left
without one. So whoever meets a call that another process has in hand waits for two signs of life, younger than its own
request, before it acts too.
"""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway import acting, beside, duties
from gateway.adapters.memory_journal import MemoryJournal
from gateway.beside import SignsOfLife
from gateway.core.admit import LEASE_MARGIN_MS
from gateway.core.facts import Abandoned, Admitted, Answered, Claimed, Delivered, Fact, Judged, Lost, Resolved
from gateway.core.lifecycle import Finish, Wait
from gateway.core.pointers import EXECUTING_MS, OWED_MS, Pointer, Upkeep
from gateway.engine import Driven, Engine
from gateway.errors import OutcomeUnknown, PolicyDenied
from gateway.life import Requester
from gateway.ports import BEAT_MS, Append, SendLost
from tests.company import HOLDING, REFUND, Generation, Policies, admission, deny, with_system
from tests.playbook import ALLOW, CALL
from tests.world import Behaviour, BreakableJournal, Crash, Fault, World, settle

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """As long as a test waits for a sign of life."""
    monkeypatch.setattr(beside, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(beside, "LAST_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(acting, "JOURNAL_RETRY_SECONDS", 0.001)


def worker(world: World, name: str) -> Engine:
    return replace(world.engine(), worker=name)


async def ask(world: World, name: str, key: str):
    return await worker(world, name).begin(admission(REFUND, key=key), world.generation, Requester())


def died_sending() -> World:
    """The worker `first` claimed a refund, the system acted, and then the worker was gone."""
    world = World()
    world.upstream.script = [Behaviour(raises=Crash())]
    assert world.live(lambda: ask(world, "first", "k1")) is Crash
    assert world.effects == 1
    world.restart()
    return world


def test_the_claim_names_the_worker_that_sends():
    world = died_sending()
    [claim] = [fact for fact in world.facts(world.calls[0]) if isinstance(fact, Claimed)]
    assert claim.worker == "first"


def test_the_retry_of_what_a_dead_worker_was_sending_is_the_same_call_under_any_key_and_at_once():
    world = died_sending()
    life, step = world.live(lambda: ask(world, "second", "another key"))
    assert life.record.call.id == world.calls[0]
    assert isinstance(step, Wait)
    assert world.kinds(world.calls[0])[-2:] == ["Attached", "Abandoned"]
    assert (world.effects, world.calls) == (1, [life.record.call.id])


def test_a_beat_from_before_the_request_is_no_sign_of_life():
    """The worker beat, died, and then the retry came: all within one beat."""
    world = died_sending()
    world.live(lambda: world.journal.beat("first"))
    world.now += 1
    world.live(lambda: ask(world, "second", "another key"))
    assert world.effects == 1


def test_a_beat_that_is_forgotten_meanwhile_is_no_sign_of_life():
    """It was there when the request came, and then its time was over: a change, but of nobody's doing."""
    world = died_sending()
    world.live(lambda: world.journal.beat("first"))

    async def story():
        asked = asyncio.ensure_future(ask(world, "second", "another key"))
        await asyncio.sleep(0.01)
        world.now += BEAT_MS
        await asked

    world.live(story)
    assert world.effects == 1


def test_it_is_found_for_as_long_as_nobody_wrote_how_it_ended():
    world = died_sending()
    world.restart(later=5 * 60_000)
    world.live(lambda: ask(world, "second", "another key"))
    assert world.effects == 1


def hand_over(world: World, driven: Driven) -> None:
    """What the door does once the answer of an ordinary call has left."""
    call = driven[0].record.call
    world.journal.leave(call.id, call.match)


async def beats(world: World, name: str) -> None:
    """One sign of life, and time to see it."""
    world.now += 1
    await world.journal.beat(name)
    await asyncio.sleep(0.03)


async def _meet(world: World, **meanwhile):
    """The worker `first` is sending; `second` is asked the same under another key."""
    arrived = asyncio.Event()
    go = asyncio.Event()

    async def slow() -> None:
        arrived.set()
        await go.wait()

    world.upstream.script = [Behaviour(meanwhile=slow)]
    one = asyncio.ensure_future(ask(world, "first", "k1"))
    await arrived.wait()
    other = asyncio.ensure_future(ask(world, meanwhile.get("name", "second"), "k2"))
    await asyncio.sleep(0.01)
    for _ in range(meanwhile.get("beats", 0)):
        await beats(world, "first")
    if meanwhile.get("ends"):
        go.set()
        hand_over(world, await one)
    found = await other
    go.set()
    await one
    return found


@pytest.mark.parametrize("how", [{"beats": 2}, {"ends": True}, {"name": "first"}], ids=["beats", "ends", "same"])
def test_beside_a_sender_that_is_at_work_an_identical_request_is_another_call(how):
    world = World()
    life, _ = world.live(lambda: _meet(world, **how))
    assert world.effects == 2
    assert life.record.call.id == world.calls[1]
    assert world.kinds(world.calls[1]) == ["Admitted", "Judged", "Claimed", "Answered"]


@pytest.mark.parametrize("seen", [0, 1])
def test_a_sender_that_only_seems_dead_still_acts_once_for_both_requests(seen):
    """One beat may have been on its way when the request came."""
    world = World()
    life, _ = world.live(lambda: _meet(world, beats=seen))
    assert (world.effects, len(world.calls)) == (1, 1)
    assert life.attached


def test_what_waited_is_judged_by_the_policies_of_that_moment():
    """While it looked for a sign of life, the policies changed."""
    world = World()

    async def story():
        found = asyncio.ensure_future(_meet(world, beats=2))
        await asyncio.sleep(0.005)
        world.generation = Generation("generation-2", policies=Policies(deny))
        return await found

    _, step = world.live(story)
    assert isinstance(step, Finish) and isinstance(step.outcome, Judged)
    assert step.outcome.generation == "generation-2"
    assert world.effects == 1


def test_a_call_that_is_over_is_met_by_nobody():
    world = World()
    for name, key in (("first", "k1"), ("second", "k2")):
        hand_over(world, world.live(partial(ask, world, name, key)))
    assert world.effects == 2
    assert not world.journal.executing


def test_the_memory_outlasts_every_claim():
    longest = with_system(timeout_seconds=3600).systems["stripe"].timeout_seconds * 1000 + LEASE_MARGIN_MS
    assert longest < EXECUTING_MS
    assert beside.SILENCE_SECONDS * 1000 < BEAT_MS


# --- Whose requester got no answer -----------------------------------------------------------------------------------


async def written_by_nobody_who_waits(world: World) -> None:
    while type((await MemoryJournal.facts(world.journal, world.calls[0]))[-1]) is not Abandoned:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("persists", [True, False], ids=["only the reply was lost", "it did not get there"])
def test_an_outcome_that_was_written_late_was_told_to_nobody(persists):
    """The journal was away when the system answered, so the requester was told that nobody knows."""
    world = World()
    world.journal.faults = [Fault(Answered, "unavailable", persists=persists)]

    async def story():
        with pytest.raises(OutcomeUnknown):
            await ask(world, "first", "k1")
        async with asyncio.timeout(60):
            await written_by_nobody_who_waits(world)
        return await ask(world, "first", "k2")

    life, step = world.live(story)
    assert (world.effects, len(world.calls)) == (1, 1)
    assert life.attached and isinstance(step, Finish)


@pytest.mark.parametrize("name", ["first", "second"])
def test_while_an_outcome_is_owed_nobody_acts_beside_it(name):
    world = World()
    world.journal.faults = [Fault(Answered, "unavailable", times=10**6)]
    first = worker(world, "first")
    asked = first if name == "first" else worker(world, name)

    async def story():
        with pytest.raises(OutcomeUnknown):
            await first.begin(admission(REFUND, key="k1"), world.generation, Requester())
        return await asked.begin(admission(REFUND, key="k2"), world.generation, Requester())

    life, _ = world.live(story)
    assert world.effects == 1 and life.attached


def test_a_call_whose_requester_left_is_met_even_if_its_sender_is_at_work():
    """Two identical calls side by side; the open pointer leads to one of them only."""
    world = World()
    engine = worker(world, "first")
    requesters = [Requester(), Requester()]

    async def story():
        gates = [asyncio.Event(), asyncio.Event()]
        world.upstream.script = [Behaviour(meanwhile=gate.wait) for gate in gates]
        both = []
        for number, who in enumerate(requesters):
            both.append(asyncio.ensure_future(engine.begin(admission(REFUND, key=f"k{number}"), world.generation, who)))
            await asyncio.sleep(0.01)
        for who in requesters:
            engine.leave(who)
        await asyncio.sleep(0.01)
        one = await ask(world, "first", "retry 0")
        gates[0].set()  # the one that the first retry found is over, and its answer is delivered
        await asyncio.sleep(0.01)
        await engine.note(one[0].record.call.id, Delivered())
        other = await ask(world, "first", "retry 1")
        gates[1].set()
        await asyncio.gather(*both)
        return one, other

    world.live(story)
    assert (world.effects, len(world.calls)) == (2, 2)


@pytest.mark.parametrize("policies", [HOLDING.policies, Policies(deny)], ids=["held", "denied"])
def test_what_is_held_or_denied_today_may_be_the_retry_of_what_was_being_sent(policies):
    world = died_sending()
    world.generation = replace(world.generation, digest="generation-2", policies=policies)
    said = world.live(lambda: ask(world, "second", "another key"))
    assert len(world.calls) == 1
    if isinstance(said, PolicyDenied):
        assert world.calls[0] in said.detail  # denied today, and told which call may have acted
    else:
        assert "Abandoned" in world.kinds(world.calls[0])


@pytest.mark.writes_the_impossible("claims with made-up fingerprints")
def test_what_was_seen_of_a_process_holds_for_all_that_it_sends():
    """Strangers that keep arriving do not make an old request wait again."""
    world = World()

    async def story():
        signs = SignsOfLife(world.journal, "second", (), CALL.match)
        await world.journal.append(sending("a"))
        await world.journal.append(sending("b", beside=("59a",)))
        await world.journal.beat("first")

        async def beat_twice() -> None:
            await asyncio.sleep(0.01)
            await beats(world, "first")
            await beats(world, "first")

        _, found = await asyncio.gather(beat_twice(), signs.go_on_without_us(["59a"]))
        assert found == ""
        assert await asyncio.wait_for(signs.go_on_without_us(["59a", "59b"]), 0.05) == ""

    world.live(story)


def sending(name: str, beside: tuple[str, ...] = ()) -> Append:
    call = replace(CALL, id=f"59{name}")
    facts = (Admitted(call=call), ALLOW, Claimed(token=name, fingerprint="f", lease=9_000_000, worker="first"))
    upkeep = Upkeep((Pointer(CALL.match, "executing", "join", EXECUTING_MS),))
    return Append(
        call=call.id, agent=call.agent, expected=0, token=name, facts=facts, upkeep=upkeep, beside=beside
    )  # fmt: skip


# --- The moment between recording an answer and handing it over ------------------------------------------------------


def answered_by_the_dead() -> World:
    """The worker `first` wrote the answer down, and then it was gone."""
    world = World()
    world.journal.faults = [Fault(Answered, "crash", persists=True)]
    assert world.live(lambda: ask(world, "first", "k1")) is Crash
    assert world.kinds(world.calls[0])[-1] == "Answered"
    world.restart()
    return world


def test_an_answer_that_died_with_its_worker_is_there_for_the_retry_under_any_key():
    world = answered_by_the_dead()
    life, step = world.live(lambda: ask(world, "second", "another key"))
    assert (world.effects, len(world.calls)) == (1, 1)
    assert life.attached and isinstance(step, Finish)
    assert world.kinds(world.calls[0])[-3:] == ["Answered", "Attached", "Abandoned"]
    world.live(lambda: worker(world, "second").note(world.calls[0], Delivered()))
    assert not world.journal.executing
    world.live(lambda: ask(world, "second", "an intent of its own"))
    assert world.effects == 2


@pytest.mark.parametrize("seen", [1, 2])
def test_beside_an_answer_in_living_hands_an_identical_request_is_another_call(seen):
    world = answered_by_the_dead()  # as far as anybody can see it is not dead, but about to hand over

    async def story():
        asked = asyncio.ensure_future(ask(world, "second", "k2"))
        await asyncio.sleep(0.01)
        for _ in range(seen):
            await beats(world, "first")
        return await asked

    world.live(story)
    assert world.effects == seen
    assert asyncio.run(world.journal.met(world.calls[0], match_of(world)))  # it may die yet, with that answer


def match_of(world: World) -> str:
    return world.record(world.calls[0]).call.match


def test_a_call_that_leaves_meanwhile_is_waited_for_no_longer(monkeypatch):
    monkeypatch.setattr(beside, "SILENCE_SECONDS", 60)
    world = answered_by_the_dead()
    match = match_of(world)

    async def story():
        asked = asyncio.ensure_future(ask(world, "second", "k2"))
        await asyncio.sleep(0.01)
        world.journal.leave(world.calls[0], match)
        async with asyncio.timeout(60):
            return await asked

    world.live(story)
    assert world.effects == 2


def test_what_was_written_before_the_second_beat_is_read_after_it(monkeypatch):
    """A process beats only once it has written of everybody that left; so the facts are read after the beat."""
    world = World()
    looks = []

    async def last_beat(journal, name):
        looks.append(name)
        world.now += 1
        await world.journal.beat(name)
        if len(looks) == 3:
            await worker(world, "first").note(world.calls[0], Abandoned())
            world.journal.pointers.clear()  # as if another identical call, that is over by now, had been found by all
        return await MemoryJournal.last_beat(journal, name)

    async def story():
        go = asyncio.Event()
        world.upstream.script = [Behaviour(meanwhile=go.wait)]
        one = asyncio.ensure_future(ask(world, "first", "k1"))
        await asyncio.sleep(0.01)
        monkeypatch.setattr(BreakableJournal, "last_beat", last_beat)
        found = await ask(world, "second", "k2")
        go.set()
        await one
        return found

    life, _ = world.live(story)
    assert len(looks) == 3
    assert world.effects == 1 and life.attached


# --- A requester that left, while the journal does not know it -------------------------------------------------------


def test_the_retry_of_a_requester_that_left_is_met_before_that_is_written():
    """The same worker: nothing tells it but its own memory, since it is seen at work."""
    world = World()
    engine = worker(world, "first")
    requester = Requester()

    async def story():
        go = asyncio.Event()
        world.upstream.script = [Behaviour(meanwhile=go.wait)]
        one = asyncio.ensure_future(engine.begin(admission(REFUND, key="k1"), world.generation, requester))
        await asyncio.sleep(0.01)
        world.journal.faults = [Fault(Abandoned, "unavailable")]
        engine.leave(requester)
        assert engine.owing == set(world.calls)  # and so it does not beat
        other = await engine.begin(admission(REFUND, key="k2"), world.generation, Requester())
        go.set()
        await one
        await settle()
        return other

    life, _ = world.live(story)
    assert world.effects == 1 and life.attached
    assert not engine.owing


def test_a_process_that_owes_does_not_say_that_it_is_at_work(monkeypatch):
    """Its beat would tell others that whoever asked it is still there, or has the answer."""
    monkeypatch.setattr(duties, "BEAT_SECONDS", 0.001)
    world = World()
    owing = {"a call"}

    async def story():
        journal: Any = world.journal
        beating = asyncio.ensure_future(duties.beat(journal, "first", owing))
        await asyncio.sleep(0.02)
        assert await world.journal.last_beat("first") == 0
        owing.clear()
        await asyncio.sleep(0.02)
        beating.cancel()
        return await world.journal.last_beat("first")

    assert world.live(story) == world.now


def test_a_requester_that_leaves_while_its_answer_is_on_the_way_is_written_down():
    world = World()
    engine = worker(world, "first")
    requester = Requester()

    async def story():
        await engine.begin(admission(REFUND, key="k1"), world.generation, requester)
        engine.leave(requester)  # the door hears of it before the last byte has left
        await settle()
        return await ask(world, "first", "k2")

    life, _ = world.live(story)
    assert world.effects == 1 and life.attached


@pytest.mark.parametrize("where", ["note", "reload"])
def test_what_is_owed_is_tried_again_whatever_went_wrong(monkeypatch, where, caplog):
    """It would otherwise be owed for ever, and this process never be seen at work again."""
    monkeypatch.setattr("gateway.owing.UNFORESEEN_RETRY_SECONDS", 0.001)
    world = World()
    engine = worker(world, "first")
    original = getattr(Engine, where)
    broken = [ValueError("damaged"), KeyError("odd")]

    async def breaks(self, *arguments):
        if broken:
            raise broken.pop()
        return await original(self, *arguments)

    monkeypatch.setattr(Engine, where, breaks)
    world.journal.faults = [Fault(Answered, "unavailable")]

    async def story():
        with pytest.raises(OutcomeUnknown):
            await engine.begin(admission(REFUND, key="k1"), world.generation, Requester())
        async with asyncio.timeout(60):
            while engine.owing:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    world.live(story)
    assert not broken and caplog.text.count("it is tried again") == 2
    assert world.kinds(world.calls[0])[-2:] == ["Answered", "Abandoned"]


# --- Several that are open at once -----------------------------------------------------------------------------------


async def two_side_by_side(world: World, *ends: BaseException | None, leave: bool) -> list[Driven | BaseException]:
    """Two identical calls of one worker, sent at the same time; what came of them."""
    engine = worker(world, "first")
    requesters = [Requester(), Requester()]
    gates = [asyncio.Event(), asyncio.Event()]
    world.upstream.script = [Behaviour(meanwhile=gate.wait, raises=end) for gate, end in zip(gates, ends, strict=True)]
    both = []
    for number, who in enumerate(requesters):
        both.append(asyncio.ensure_future(engine.begin(admission(REFUND, key=f"k{number}"), world.generation, who)))
        await asyncio.sleep(0.01)
    for who in requesters if leave else ():
        engine.leave(who)
    await settle()
    for gate in gates:
        gate.set()
    found: list[Driven | BaseException] = list(await asyncio.gather(*both, return_exceptions=True))
    await settle()
    return found


def test_every_one_of_several_doubts_is_met_until_each_is_settled():
    world = World()
    gone = SendLost("reset"), SendLost("reset")

    async def settle_doubt(call: str) -> None:
        life = await world.load(call)
        life.add(Resolved(by="olga", acted=False, at=world.now))
        await world.engine().flush(life)

    world.live(lambda: two_side_by_side(world, *gone, leave=False))
    assert (world.effects, len(world.calls)) == (2, 2)
    met = set()
    for day in (1, 2):
        world.restart(later=90 * 24 * 3_600_000)  # longer than any call is met that nobody cares about
        life, step = world.live(partial(ask, world, "second", f"day {day}"))
        assert isinstance(step, Finish) and isinstance(step.outcome, Lost)
        assert not life.record.abandoned  # its requester was told that nobody knows
        met.add(life.record.call.id)
        world.live(partial(settle_doubt, life.record.call.id))
    assert (met, world.effects) == (set(world.calls), 2)
    world.live(lambda: ask(world, "second", "both were found not to have acted"))
    assert world.effects == 3


def test_every_one_of_several_answers_that_nobody_got_is_had_once():
    world = World()
    world.live(lambda: two_side_by_side(world, None, None, leave=True))
    assert (world.effects, len(world.calls)) == (2, 2)
    had = []
    for number in range(2):
        life, step = world.live(partial(ask, world, "second", f"again {number}"))
        assert life.attached and isinstance(step, Finish)
        had.append(life.record.call.id)
        world.live(lambda: worker(world, "second").note(had[-1], Delivered()))
    assert (sorted(had), world.effects) == (sorted(world.calls), 2)
    world.live(lambda: ask(world, "second", "a third"))
    assert world.effects == 3


def test_an_answer_that_nobody_came_for_attracts_no_longer_than_a_day():
    world = World()
    world.live(lambda: two_side_by_side(world, None, None, leave=True))
    world.restart(later=OWED_MS)
    life, _ = world.live(lambda: ask(world, "second", "the next day"))
    assert not life.attached and world.effects == 3
    assert asyncio.run(world.journal.met(life.record.call.id, life.record.call.match))
    assert not asyncio.run(world.journal.met(world.calls[0], life.record.call.match))


@pytest.mark.writes_the_impossible("claims with made-up fingerprints")
def test_an_answer_attracts_from_the_last_time_that_anybody_went_without_it():
    world = World()

    async def more(*facts: Fact) -> None:
        have = await world.journal.length("59a")
        await world.journal.append(replace(sending("a"), expected=have, token=str(have), facts=facts, upkeep=Upkeep()))

    async def story():
        await world.journal.append(sending("a"))
        await more(Answered(token="a", status=200), Abandoned())
        world.now += OWED_MS - 1
        await more(Delivered(), Abandoned())
        signs = SignsOfLife(world.journal, "second", (), CALL.match)
        world.now += OWED_MS - 1
        assert await signs.go_on_without_us(["59a"]) == "59a"
        world.now += 1
        assert await signs.go_on_without_us(["59a"]) == ""

    world.live(story)


def test_a_call_that_has_left_the_store_is_met_no_more():
    world = answered_by_the_dead()
    match = match_of(world)
    del world.journal.calls[world.calls[0]]
    life, _ = world.live(lambda: ask(world, "second", "k2"))
    assert world.effects == 2
    assert world.journal.executing[match][0] == {life.record.call.id}
