"""`record:` of a tool, in every life of a call: which copies are kept, under which fact, and that masked values are
nowhere."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import pytest

from gateway.core.approval import Decision, shown
from gateway.core.facts import Answered, Recorded
from gateway.core.messages import message
from gateway.core.payload import unpack_answer
from gateway.core.recording import MASKED, NOT_JSON, STREAMED, Recording
from gateway.decisions import Decisions
from gateway.judging import admission_of
from gateway.ports import CredentialEchoed, NeverSent
from gateway.sending import drain
from tests.company import CHARGE, HOLDING, REFUND, Generation, Policies, allow, deny, with_tool
from tests.world import RUNNER, Behaviour, FakeReply, Fault, World, held

SALT = b"salt-salt"
REDACTS = Recording(input="redacted", output="redacted", mask=(("amount",), ("secret",)))
FULL = Recording(input="full", output="full")
SECRETS = FakeReply(200, body=b'{"id":"re_1","secret":"s3cret"}')


def recording(wanted, record, policies=allow):
    """A tool that is recorded so, and a world in which it is."""
    changed = replace(wanted, record=record)
    return changed, World(generation=Generation(policies=Policies(policies), routes=with_tool(changed)))


def recorded(world, call):
    return [fact for fact in world.facts(call) if isinstance(fact, Recorded)]


def copy(world, call, part):
    """What is kept of this part, once its digest was compared with that in the fact."""
    [fact] = [fact for fact in recorded(world, call) if fact.part == part]
    kept = world.journal.copies[call][f"kept.{part}.{fact.keep}"]
    assert hashlib.sha256(kept).hexdigest() == fact.digest and len(kept) > fact.size, "the salt comes first"
    return kept[-fact.size :]


@pytest.mark.parametrize("wanted", [CHARGE, REFUND], ids=["read", "effect"])
def test_both_copies_are_kept_masked_in_the_appends_that_they_are_about(wanted):
    wanted, world = recording(wanted, REDACTS)
    world.upstream.script = [Behaviour(reply=SECRETS)]
    world.live(partial(world.ask, wanted))
    [call] = world.calls
    asked, answered = sorted(recorded(world, call), key=lambda fact: fact.part)
    assert (asked.part, asked.how, answered.part, answered.how) == ("input", "redacted", "output", "redacted")
    assert answered.masked == ("secret",) and asked.keep == 400 * 24 * 3600 * 1000
    assert json.loads(copy(world, call, "output")) == {"id": "re_1", "secret": MASKED}
    if wanted.acts:
        assert json.loads(copy(world, call, "input")) == {"amount": MASKED} and asked.masked == ("amount",)
    kinds = [[json.loads(fact)["fact"]["type"] for fact in facts] for _, facts in world.journal.ledger]
    assert all(("Admitted" in kind) == ("Recorded" in kind) for kind in kinds[:1])
    assert "Recorded" in next(kind for kind in kinds if "Answered" in kind)
    assert len(world.journal.ledger) == (2 if wanted.acts else 1)
    assert b"s3cret" not in repr(world.journal.copies).encode()


def test_of_a_tool_without_it_nothing_is_added():
    for wanted in (CHARGE, REFUND):
        world = World()
        world.live(partial(world.ask, wanted))
        [call] = world.calls
        assert not recorded(world, call) and not world.journal.copies


def test_what_is_denied_is_recorded_too():
    wanted, world = recording(REFUND, FULL, deny)
    world.live(partial(world.ask, wanted))
    [call] = world.calls
    assert world.kinds(call) == ["Admitted", "Judged", "Recorded"]
    assert json.loads(copy(world, call, "input")) == {"amount": 5}
    assert not world.journal.payloads[call], "nothing else is kept of it"


def test_what_was_not_sent_has_no_answer():
    wanted, world = recording(REFUND, FULL)
    world.upstream.script = [Behaviour(acts=False, raises=NeverSent("refused"))]
    world.live(partial(world.ask, wanted))
    assert [fact.part for fact in recorded(world, world.calls[0])] == ["input"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (FakeReply(200, body=b"<html>secret"), NOT_JSON),
        (FakeReply(200, headers=((b"content-type", b"text/event-stream"),)), STREAMED),
    ],
)
def test_an_answer_that_cannot_be_masked_is_a_digest_and_the_fact_says_why(reply, why):
    wanted, world = recording(REFUND, REDACTS)
    world.upstream.script = [Behaviour(reply=reply)]
    world.live(partial(world.ask, wanted))
    [call] = world.calls
    fact = recorded(world, call)[-1]
    assert (fact.part, fact.how, fact.why, fact.digest, fact.size) == ("output", "digest", why, "", 0)
    assert not any("output" in name for name in world.journal.copies[call])


def test_an_answer_that_is_withheld_is_not_kept_either():
    wanted, world = recording(REFUND, FULL)
    world.upstream.script = [Behaviour(reply=FakeReply(200, broken=CredentialEchoed()))]
    world.live(partial(world.ask, wanted))
    [call] = world.calls
    assert [fact.part for fact in recorded(world, call)] == ["input"]


@pytest.mark.parametrize("how", ["conflict", "unavailable"])
def test_however_the_answer_gets_written_it_is_recorded_once(how, no_pauses):
    wanted, world = recording(REFUND, FULL)
    world.journal.faults = [Fault(Answered, how, times=2)]
    world.live(partial(world.ask, wanted))
    [call] = world.calls
    assert [fact.part for fact in recorded(world, call)] == ["input", "output"]
    assert unpack_answer(copy(world, call, "output")).body == FakeReply(200).body


def test_an_edit_is_recorded_beside_what_the_agent_asked_for():
    wanted, world = recording(REFUND, FULL, HOLDING.policies.decide)
    world, call = held(world, wanted=wanted)

    async def edit():
        life = await world.load(call)
        fingerprint = shown(life.record, "finance")
        decision = Decision(approve=True, by="ann", group="finance", fingerprint=fingerprint, via="token")
        await Decisions(world.engine()).edit(call, decision, {"amount": 7})

    world.live(edit)
    kinds = world.kinds(call)
    assert kinds[kinds.index("Edited") + 1] == "Recorded"
    assert json.loads(copy(world, call, "input")) == {"amount": 5}
    assert json.loads(copy(world, call, "edited")) == {"amount": 7}


def test_masked_values_are_in_no_notice_and_whoever_opens_the_question_sees_them():
    wanted, world = recording(REFUND, Recording(mask=(("amount",),)), HOLDING.policies.decide)
    world, call = held(world, wanted=wanted)

    async def told():
        life = await world.load(call)
        admission = await admission_of(life, world.journal)
        asked = life.record.notices[0]
        said = message(
            life.record, asked, world.generation.routes, admission=admission, payload={}, control_url="", now=world.now
        )
        return said, admission

    said, admission = world.live(told)
    assert said.body["data"]["input"] == {"amount": MASKED} and "amount=5" not in said.body["data"]["summary"]
    assert admission.question.input == {"amount": 5}


def test_no_digest_of_an_answer_can_be_guessed():
    """Not even when it is one of two."""
    for wanted in (CHARGE, REFUND):
        world = World()
        world.live(partial(world.ask, wanted))
        [call] = world.calls
        [answered] = [fact for fact in world.facts(call) if isinstance(fact, Answered)]
        body = FakeReply(200).body
        assert answered.sha256 == hashlib.sha256(SALT + body).hexdigest() != hashlib.sha256(body).hexdigest()


def test_nor_that_of_a_body_that_streams_past():
    ended = RUNNER.run(drain(FakeReply(200), SALT))
    assert ended.whole and ended.sha256 == hashlib.sha256(SALT + FakeReply(200).body).hexdigest()
