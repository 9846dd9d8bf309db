"""Walk every life a call can have, to the end, and check what must never happen.

The core is pure and its states are few, so nobody needs to guess at interleavings: processes that drive, die before
or after sending or sit on an outcome for hours; people who vote, withdraw or settle at any moment; a deployment that
changes policies and perhaps what would be sent; a clock. Beside the record stands one *ghost* number that the gateway
cannot see: how often the system may really have acted.

Time is coarse so that the walk ends: one tick outlives a claim and every pause, two ticks a hold, three half of what
the system remembers. A drive's facts travel in one append, whose compare-and-swap either applies all or none, so a
whole drive is one move; a drive that loses the race is the move that was not made.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from gateway.core.call import Call
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Expired,
    Fact,
    Judged,
    Lost,
    Rejected,
    Reminded,
    Resolved,
    Retracted,
    Unsent,
    Withdrawn,
)
from gateway.core.lifecycle import MOST_SENDS, Ask, Claim, Climb, Expire, Finish, Forfeit, Judge, Send, Wait, next_step
from gateway.core.pointers import upkeep
from gateway.core.record import Record, after, begin, without_unused_allow
from gateway.core.verdict import Decision, Requirement
from tests.playbook import (
    CALL,
    FINANCE,
    OTHER_PRINT,
    PRINT,
    READ,
    REPEATABLE,
    TODAY,
    TOMORROW,
    answered,
    asked,
    claimed,
    judged,
    lost,
    no,
    unsent,
    yes,
)

TICK = 6_000
TICKS = (0, TICK, 2 * TICK, 3 * TICK)
EDITED = "e" * 64
EDIT = Edited(by="ann", group="finance", before=PRINT, fingerprint=EDITED, changed=("amount",), via="token")
EXPIRE_TICKS = 2 * TICK
KEEPS_TICKS = 2 * 3 * TICK  # half of it is three ticks
VERDICTS: tuple[tuple[Decision, tuple[Requirement, ...]], ...] = (("allow", ()), ("hold", (FINANCE,)), ("deny", ()))
"""A hold takes one more vote, also after somebody voted: whoever that was may no longer decide."""


@dataclass(frozen=True)
class State:
    record: Record
    acted: int = 0
    """How often the system may have acted."""
    sending: frozenset[tuple[str, Fact | None]] = frozenset()
    """Live drives: the token of each, and the outcome it holds and has not written; None before it has sent."""
    now: int = 0
    today: str = TODAY

    def then(self, *facts: Fact) -> "State":
        record = self.record
        for fact in facts:
            # What no decision looks at must not tell states apart.
            timed = isinstance(fact, Claimed | Lost) or hasattr(fact, "expire")
            record = after(record, replace(fact, at=self.now if timed else 0))
        return replace(self, record=replace(record, version=1, notices=()))


@dataclass
class Walk:
    call: Call
    tomorrow: str
    """The fingerprint once the second generation serves."""
    requester: bool
    """Whether it may go away or take delivery; only pointers look at that."""
    second_thoughts: bool = False
    """People edit, take back and cancel; then one generation serves all along, so that the walk ends."""
    claims: int = 0
    seen: set[State] = field(default_factory=set)

    def every_state(self) -> set[State]:
        edge = {State(begin(Admitted(call=self.call)))}
        while edge:
            self.seen |= edge
            edge = {after for state in edge for after in self.nexts(state)} - self.seen
        return self.seen

    def nexts(self, state: State) -> Iterator[State]:
        if state.now < TICKS[-1]:
            yield replace(state, now=state.now + TICK)
        if state.today == TODAY and not self.second_thoughts:
            yield replace(state, today=TOMORROW)
        yield from self.drives(state, without_unused_allow(state.record), ())
        for token, outcome in state.sending:
            yield from self.sends(state, token, outcome)
        yield from self.people(state)

    def drives(self, state: State, record: Record, pending: tuple[Fact, ...]) -> Iterator[State]:
        """What one process may append, from now until it has to wait for the journal or the world."""
        step = next_step(record, now=state.now, me="", today=state.today)
        fingerprint = EDITED if record.edits else PRINT if state.today == TODAY else self.tomorrow
        match step:
            case Judge():
                for decision, unmet in VERDICTS:
                    lacking = (1,) * len(unmet)
                    verdict = judged(decision, *unmet, generation=state.today, fingerprint=fingerprint, lacking=lacking)
                    yield from self.drives(state, after(record, verdict), (*pending, verdict))
            case Ask(requirements):
                question = asked(*requirements, fingerprint=fingerprint, expire=EXPIRE_TICKS)
                yield from self.drives(state, after(record, replace(question, at=state.now)), (*pending, question))
            case Climb(rung):
                fact = Reminded(group=rung.group, notices=())
                yield from self.drives(state, after(record, fact), (*pending, fact))
            case Expire():
                yield state.then(*pending, Expired())
            case Forfeit(token):
                yield state.then(*pending, lost(token))
            case Claim():
                self.check_claim(state, record, pending)
                token = f"t{len(record.tokens) + 1}"
                claim = claimed(token, fingerprint=fingerprint, lease=TICK)
                yield replace(state.then(*pending, claim), sending=state.sending | {(token, None)})
            case Send():
                assert not self.call.acts, "only a drive with a claim of its own sends an effect"
                assert not record.asked, "an approval is good for one send"
                for outcome in (answered(""), lost(""), unsent("")):
                    yield state.then(*pending, outcome)
            case Wait() | Finish() if pending:
                yield state.then(*pending)

    def sends(self, state: State, token: str, outcome: Fact | None) -> Iterator[State]:
        """One live drive that wrote a claim: it sends in time or never, and writes what came of it whenever it can."""
        rest = replace(state, sending=state.sending - {(token, outcome)})
        yield rest  # it dies here
        if outcome is not None:
            yield rest.then(outcome)
            return
        yield rest.then(unsent(token))  # it noticed that its claim was running out
        claim = next((at for at in self.claimed_at(state, token)), None)
        if claim is not None and state.now < claim + TICK:
            sent = replace(rest, acted=state.acted + 1)
            yield sent  # it dies after sending
            yield replace(sent, sending=rest.sending | {(token, answered(token))})
            yield replace(sent, sending=rest.sending | {(token, lost(token))})
            yield replace(rest, sending=rest.sending | {(token, lost(token))})
            yield replace(rest, sending=rest.sending | {(token, unsent(token))})

    @staticmethod
    def claimed_at(state: State, token: str) -> Iterator[int]:
        for claim in (state.record.claim, state.record.latest, state.record.first):
            if claim is not None and claim.token == token:
                yield claim.at

    def people(self, state: State) -> Iterator[State]:
        record = state.record
        if record.asked and not record.votes:
            yield state.then(yes())
        if record.asked:
            yield state.then(no())
        if record.asked and self.second_thoughts:
            yield state.then(Cancelled(by="olga", via="token"))
            if not record.edits and record.claim is None:  # with the editor's own yes, as gateway.decisions writes it
                yield state.then(EDIT, yes(fingerprint=EDITED))
            if record.votes:
                yield state.then(Retracted(by="ann", group="finance", via="token"))
        if self.requester:
            yield state.then(Abandoned())
        step = next_step(without_unused_allow(record), now=state.now, me="", today=state.today)
        if isinstance(step, Finish):
            if self.requester:
                yield state.then(Delivered())
            in_doubt = isinstance(step.outcome, Lost) and self.call.acts
            over = record.latest is not None and state.now >= record.latest.at + record.latest.lease
            if in_doubt and over:
                yield state.then(Resolved(by="olga", acted=state.acted > 0))

    def check_claim(self, state: State, record: Record, pending: tuple[Fact, ...]) -> None:
        self.claims += 1
        verdict = pending[-1]
        assert isinstance(verdict, Judged) and verdict.verdict.decision == "allow", "a claim without a fresh allow"
        assert verdict.generation == state.today
        assert record.refusal is None, "a claim after somebody said no"
        if record.tokens:
            assert self.call.repeatable, "a second claim of a call that is not repeatable"
            assert record.first is not None and record.first.fingerprint == verdict.fingerprint
            assert state.now < record.first.at + self.call.keeps_ms // 2
            assert len(record.tokens) < MOST_SENDS


class QuickCall(Call):
    """A call is the same in every state of a walk: hashing it each time would be most of the work."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1


def quick(call: Call, **changes: object) -> Call:
    return QuickCall(**{name: getattr(call, name) for name in Call.__dataclass_fields__} | changes)


WALKS = [
    pytest.param(quick(CALL, keeps_ms=KEEPS_TICKS), PRINT, True, id="effect"),
    pytest.param(quick(CALL, keeps_ms=KEEPS_TICKS), OTHER_PRINT, False, id="effect, other bytes tomorrow"),
    pytest.param(quick(REPEATABLE, keeps_ms=KEEPS_TICKS), PRINT, False, id="repeatable"),
    pytest.param(quick(REPEATABLE, keeps_ms=KEEPS_TICKS), OTHER_PRINT, False, id="repeatable, other bytes tomorrow"),
    pytest.param(quick(READ, key="key-1", match="m" * 64), PRINT, True, id="read"),
    pytest.param(quick(CALL, keeps_ms=KEEPS_TICKS), "", False, id="effect, second thoughts"),
]


@pytest.mark.parametrize(("call", "tomorrow", "requester"), WALKS)
def test_every_life(call, tomorrow, requester):
    walk = Walk(call, tomorrow, requester, second_thoughts=not tomorrow)
    states = walk.every_state()
    print(f"{len(states)} states, {walk.claims} claims")
    assert walk.claims
    for state in states:
        check(state)


def check(state: State) -> None:
    record = without_unused_allow(state.record)
    call = record.call
    unsettled = any(outcome is None for _, outcome in state.sending)
    assert state.acted <= (MOST_SENDS if call.repeatable else 1), "acted too often"
    step = next_step(record, now=state.now, me="", today=state.today)
    assert not (isinstance(step, Send) and (call.acts or record.asked))
    around = upkeep(record, now=state.now, today=state.today, fresh=False)
    pointers = {pointer.kind: pointer for pointer in around.pointers}
    kept_for_ever = {kind for kind, pointer in pointers.items() if pointer.mode == "hold" and pointer.ttl is None}
    freed = {kind for kind, pointer in pointers.items() if pointer.mode == "free"}
    if isinstance(step, Wait):
        assert step.until > state.now, "a wait that is over before it began"
        assert around.due_in == step.until - state.now
        if record.claim is None and not record.doubts:
            assert dict(record.expected)[FINANCE] >= 1, "a vote is missing of which nobody heard"
    if not isinstance(step, Finish):
        assert around.due_in is not None and around.expire_in is None, "an open call that nobody will look at"
        assert not freed, "an open call let go of a pointer"
        if call.acts or record.asked:
            assert "key" in kept_for_ever
        if record.asked or record.doubts or record.abandoned:
            assert not (call.acts or record.asked) or "open" in kept_for_ever
        return
    outcome = step.outcome
    settled = record.resolved is not None
    if isinstance(outcome, Lost) and call.acts:
        assert around.due_in is not None and around.expire_in is None
        assert kept_for_ever == {"key", "open"}, "a call in doubt must attract every request that could repeat it"
        return
    assert around.due_in is None and around.expire_in is not None
    if isinstance(outcome, Judged | Rejected | Expired | Withdrawn | Cancelled | Unsent):
        assert settled or state.acted == 0, "no was said to a call that may have acted"
        assert not unsettled, "no was said to a call that is still being sent"
    if isinstance(outcome, Answered) and call.acts:
        assert state.acted >= 1
    if "key" in freed and call.acts:
        assert state.acted == 0, "an identical request may act a second time"
    if "open" in freed and call.acts and state.acted and not settled:
        owed = record.asked or record.abandoned or record.lost
        assert isinstance(outcome, Answered) and (record.delivered or not owed)
