"""Break every write and every send, both ways, and carry on in another process.

Each write can fail although it persisted, or because it did not; the process can die at each; another writer can be
first. Each send can be refused, lost before or after it acted, or never return. Whatever happens: the system acts at
most once, what the gateway says is true, and nothing is left lying about that nobody will look at again.
"""

import itertools
from dataclasses import dataclass, replace
from functools import partial

import pytest

from gateway.core.facts import Answered, Approved, Asked, Claimed, Expired, Judged, Lost, Rejected, Unsent
from gateway.core.lifecycle import Finish, next_step
from gateway.core.routes import Tool
from gateway.ports import NeverSent, SendLost
from tests.company import CAPTURE, CHARGE, HOLDING, REFUND, REPORT, Generation, Policies, allow
from tests.world import Behaviour, Crash, FakeReply, Fault, World

pytestmark = pytest.mark.usefixtures("no_pauses")


@dataclass(frozen=True)
class Story:
    """One kind of call, and the writes it passes through."""

    tool: Tool
    held: bool
    writes: tuple[type, ...]

    def world(self) -> World:
        return World(generation=HOLDING if self.held else Generation(policies=Policies(allow)))

    async def once(self, world: World, key: str = "key-1") -> object:
        """One request; if it is held, a person approves and the process that heard it drives the call on."""
        life, step = await world.ask(self.tool, key=key)
        record = life.record
        if self.held and record.asked and not record.votes and record.claim is None and not isinstance(step, Finish):
            await world.vote(record.call.id)
            return await world.engine().unattended(record.call.id)
        return life, step


STORIES = {
    "effect": Story(REFUND, False, (Claimed, Answered)),
    "held effect": Story(REFUND, True, (Asked, Approved, Claimed, Answered)),
    "repeatable": Story(CAPTURE, False, (Claimed, Lost, Answered)),
    "held repeatable": Story(CAPTURE, True, (Asked, Approved, Claimed, Lost, Answered)),
    "read": Story(CHARGE, False, (Answered,)),
    "held read": Story(REPORT, True, (Asked, Approved, Claimed, Answered)),
}
FAULTS = [("crash", False), ("crash", True), ("unavailable", False), ("unavailable", True)]
SENDS = {
    "answers": (),
    "refuses the connection": (Behaviour(acts=False, raises=NeverSent("refused")),),
    "is lost before acting": (Behaviour(acts=False, raises=SendLost("reset")),),
    "is lost after acting": (Behaviour(raises=SendLost("reset")),),
    "is lost twice": (Behaviour(acts=False, raises=SendLost("reset")), Behaviour(raises=SendLost("reset"))),
    "breaks in an unknown way": (Behaviour(raises=ValueError("?")),),
    "sees us die before acting": (Behaviour(acts=False, raises=Crash()),),
    "sees us die after acting": (Behaviour(raises=Crash()),),
    "times out at the load balancer": (Behaviour(status=504),),
    "says 401": (Behaviour(acts=False, status=401),),
    "acts, then says 401 to the re-send": (Behaviour(raises=SendLost("reset")), Behaviour(acts=False, status=401)),
}


def check(world: World, case: object) -> None:
    """What must be true whatever happened, once time has passed."""
    assert world.effects <= 1, case
    for call in world.calls:
        record = world.record(call)
        step = next_step(record, now=world.now, me="", today=world.generation.digest)
        assert isinstance(step, Finish), (case, step)
        in_doubt = isinstance(step.outcome, Lost) and record.call.acts
        assert (call in world.journal.due_times) == in_doubt, (case, "stranded, or watched for nothing")
        assert len(record.tokens) <= 1 or record.call.repeatable, (case, "sent twice")
        if not record.call.acts:
            continue
        if isinstance(step.outcome, Answered) and step.outcome.status == 200:
            assert world.effects == 1, (case, "an answer without an act")
        elif isinstance(step.outcome, Judged | Rejected | Expired | Unsent) and len(world.calls) == 1:
            assert world.effects == 0, (case, "no was said to a call that acted")
        keeps = {f"key:{name}" for name, _ in record.keys} | {f"open:{record.call.match}"}
        if in_doubt:
            assert {world.journal.pointers[name] for name in keeps} == {(call, None)}, (case, "a doubt nobody can find")


def tell(
    story: Story, faults: tuple[Fault, ...], sends: tuple[Behaviour, ...], *, lingers: bool, case: object
) -> World:
    """A troubled life, a second one in which the agent asks again at once, and a calm end."""
    world = story.world()
    world.journal.faults, world.upstream.script = list(faults), list(sends)
    world.live(partial(story.once, world), lingers=lingers)
    assert world.effects <= 1, case
    world.restart(later=1000)
    if story.tool.dedupe:
        world.live(partial(story.once, world))  # the agent's SDK retries with its key
    assert world.effects <= 1, case
    world.steward()
    check(world, case)
    world.live(partial(story.once, world))
    if any(isinstance(world.outcome(call), Lost) for call in world.calls):
        world.live(partial(story.once, world, "key-2"))  # and later invents a new one
    world.steward()
    check(world, case)
    return world


@pytest.mark.parametrize("lingers", [True, False], ids=["lives on", "dies"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_one_fault_anywhere(story, lingers):
    for fact, (how, persists), (name, sends) in itertools.product(story.writes, FAULTS, SENDS.items()):
        fault = Fault(fact, how, persists)
        tell(story, (fault,), sends, lingers=lingers, case=(fact.__name__, how, persists, name))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_every_pair_of_faults(story):
    """Two faults, one after another, wherever each can happen; what can be sent again is also lost after acting."""
    name = "is lost after acting" if story.tool.repeatable else "answers"
    singles = [(fact, how, persists) for fact in story.writes for how, persists in FAULTS]
    for one, other in itertools.product(singles, repeat=2):
        tell(story, (Fault(*one), Fault(*other)), SENDS[name], lingers=True, case=(one, other))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_calm_life_acts_once_and_leaves_nothing(story):
    world = tell(story, (), (), lingers=True, case="calm")
    assert world.effects == (1 if story.tool.acts else 0)
    assert not world.journal.due_times


@pytest.mark.parametrize("storage", [1 << 30, 4096], ids=["room", "no room for the answer"])
def test_an_effect_whose_call_the_journal_forgot_meanwhile_is_written_anew(storage):
    """Redis went away and came back from an older state while the system acted: what happened is only known here."""
    calm = Generation(policies=Policies(allow))
    agents = {name: replace(agent, storage=storage) for name, agent in calm.routes.agents.items()}
    world = World(generation=replace(calm, routes=replace(calm.routes, agents=agents)))

    async def restored():
        for kept in (world.journal.calls, world.journal.payloads, world.journal.pointers, world.journal.ledger):
            kept.clear()
        world.journal.faults.append(Fault(Answered, "unavailable"))

    world.upstream.script = [Behaviour(meanwhile=restored, reply=FakeReply(200, body=b"x" * 8192))]
    world.live(partial(world.ask, REFUND))
    (call,) = world.calls
    assert world.kinds(call)[:4] == ["Admitted", "Judged", "Claimed", "Answered"] and world.effects == 1
    world.live(partial(world.ask, REFUND))
    assert world.effects == 1, "the same request finds it"
