"""More questions than a group wants come in one digest, and nobody who has to hear of one ever hears of none.

The clock is the world's; every round is that of a new process, which knows only what was written.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from gateway.adapters.memory_digests import MemoryDigests
from gateway.core.facts import Notified, Reported
from gateway.core.lifecycle import Wait
from gateway.core.messages import Message
from gateway.core.quota import Quota
from gateway.core.routes import Channel, EmailChannel, Slack
from gateway.digest_ports import Told
from gateway.ports import Delivery
from gateway.steward import Steward
from tests.company import AGENTS, GROUPS, HOLDING, HOOK, ROUTES, SECRET, Generation
from tests.world import Behaviour, Crash, Fault, World, settle

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SLACK = Slack(channel="C1", workspace="T1", token=SECRET, signing_secret=SECRET)
TWO = Quota(2, 3600.0)
ASKED, DIGEST = "approval.requested", "approval.digest"


def company(*channels: Channel, batch: Quota | None = TWO, **more: Any) -> Generation:
    """finance wants two questions an hour, so digests are a quarter of an hour apart."""
    changes = {"expire_seconds": 86_400.0, "channels": channels or (HOOK,), "batch": batch, **more}
    finance = replace(GROUPS["finance"], **changes)
    agents = {**AGENTS, "billing-bot": replace(AGENTS["billing-bot"], questions=None)}
    return replace(HOLDING, routes=replace(ROUTES, groups={**GROUPS, "finance": finance}, agents=agents))


@dataclass
class Office:
    """A world with stewards in it, and what their receiver was told."""

    world: World
    answer: Callable[["Office", Message], Delivery] = lambda office, message: office.taken(message)
    came: list[tuple[int, Message]] = field(default_factory=list)
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    digests: MemoryDigests = field(init=False)
    began: int = field(init=False)

    def __post_init__(self) -> None:
        self.digests, self.began = MemoryDigests(self.world.clock), self.world.now

    def taken(self, message: Message) -> Delivery:
        receipt = message.receipt if message.receipt and not message.anew else f"C1:{len(self.came)}"
        return Delivery(status=200, done=True, error="", receipt=receipt)

    async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
        self.came.append((now - self.began, message))
        for _ in range(10):
            await asyncio.sleep(0)
        return self.answer(self, message)

    def steward(self, holder: str = "host-1") -> Steward:
        async def lease(name: str, milliseconds: int) -> bool:
            await asyncio.sleep(0)  # let the other host in, as a network would
            has, until = self.leases.get(name, (holder, 0))
            if has != holder and self.world.now < until:
                return False
            self.leases[name] = holder, self.world.now + milliseconds
            return True

        return Steward(self.world.engine(), self.world.journal, self, "http://control", lease, self.digests)

    def ask(self, *amounts: int) -> list[str]:
        async def story() -> list[str]:
            calls = []
            for amount in amounts:
                life, step = await self.world.ask(key=f"k-{amount}", amount=amount)
                assert isinstance(step, Wait)
                calls.append(life.record.call.id)
            return calls

        found: list[str] = self.world.live(story)
        return found

    def beyond(self, *amounts: int) -> list[str]:
        """Questions that come when the quota is used up."""
        self.ask(101, 102)
        self.work()
        assert self.kinds() == [ASKED, ASKED]
        return self.ask(*amounts)

    def work(self, *holders: str, rounds: int = 1) -> Any:
        """What is due at this moment, by all of these stewards at once."""
        stewards = [self.steward(holder) for holder in holders or ("host-1",)]

        async def story() -> None:
            for _ in range(rounds):
                await asyncio.gather(*(each.round() for each in stewards))
                await settle()

        return self.world.live(story)

    def pass_time(self, length: int) -> None:
        end = self.world.now + length
        while True:
            self.work()
            later = [due for due in self.world.journal.notices.values() if due > self.world.now]
            if not later or min(later) > end:
                break
            self.world.now = min(later)
        self.world.now = end

    def decide(self, *calls: str) -> None:
        for call in calls:
            self.world.live(partial(self.world.vote, call, approve=False))
            self.world.live(partial(self.world.engine().unattended, call))

    def kinds(self) -> list[str]:
        return [message.body["type"] for _, message in self.came]

    @property
    def told(self) -> list[dict[str, Any]]:
        """Data of the digests that came."""
        return [dict(message.body["data"]) for _, message in self.came if message.body["type"] == DIGEST]

    def heard(self, call: str) -> list[Notified]:
        return [fact for fact in self.world.facts(call) if isinstance(fact, Notified)]


def office(*channels: Channel, **more: Any) -> Office:
    return Office(World(generation=company(*channels, **more)))


def listed(data: dict[str, Any]) -> list[str]:
    return [item["call"] for item in data["questions"]]


def refusing(status: int = 503, **more: Any) -> Delivery:
    return Delivery(status=status, done=False, error=f"the receiver answered {status}", **more)


# --- The quota --------------------------------------------------------------------------------------------------------


def test_beyond_the_quota_one_digest_says_how_many_wait_and_what():
    it = office()
    calls = it.ask(1, 2, 3, 4, 5)
    it.pass_time(HOUR // 2)
    assert it.kinds()[:3].count(ASKED) == 2 and it.kinds().count(ASKED) == 2
    last = it.told[-1]
    single = {message.body["data"]["call"] for _, message in it.came if message.body["type"] == ASKED}
    together = [call for call in calls if call not in single]
    assert (last["approval"], last["waiting"], sorted(listed(last))) == ("finance", 3, sorted(together))
    assert last["page"] == "http://control/inbox" and last["over"] == []
    item = next(each for each in last["questions"] if each["call"] == together[0])
    assert item["page"] == f"http://control/inbox/{together[0]}?approval=finance"
    assert (item["agent"], item["owner"], item["user"]) == ("billing-bot", "olga", None)
    assert item["summary"].startswith("billing-bot wants to call stripe.refund(amount=")
    assert last["expires_at"] == item["expires_at"] == "2026-11-21T10:00:00Z"
    assert "fingerprint" not in item and "input" not in item, "nothing is decided from a line"
    for call in together:
        (fact,) = it.heard(call)
        assert fact.done and fact.digest.startswith("digest-") and not fact.receipt
    assert all(not fact.digest for call in single for fact in it.heard(call))
    assert not it.world.journal.notices


def test_without_batch_everything_is_told_by_itself():
    it = office(batch=None)
    it.ask(1, 2, 3, 4)
    it.pass_time(HOUR)
    assert it.kinds() == [ASKED] * 4


def test_questions_within_the_quota_are_told_at_once_and_by_themselves():
    it = office()
    it.ask(1, 2)
    it.work()
    assert it.kinds() == [ASKED] * 2


def test_there_is_room_again_when_the_window_has_passed():
    it = office()
    it.ask(1, 2, 3)
    it.pass_time(HOUR + MINUTE)
    assert it.kinds() == [ASKED, ASKED, DIGEST]
    it.ask(4)
    it.work()
    assert it.kinds()[3:] == [ASKED]


def test_a_retry_of_a_question_that_was_counted_takes_no_second_place():
    it = office()
    it.answer = lambda office, message: refusing() if len(office.came) <= 2 else office.taken(message)
    it.ask(1, 2)
    it.pass_time(MINUTE)
    assert it.kinds() == [ASKED] * 4
    assert len({message.id for _, message in it.came}) == 2


def test_a_group_is_counted_by_questions_and_not_by_channels():
    other = replace(HOOK, url="https://other.example/hook")
    it = office(HOOK, other)
    it.ask(1, 2)
    it.work()
    assert it.kinds() == [ASKED] * 4
    it.ask(3)
    it.work()
    assert it.kinds()[4:] == [DIGEST] * 2, "one for each channel"


# --- How often --------------------------------------------------------------------------------------------------------


def test_digests_of_a_webhook_are_spaced_and_come_only_when_there_is_something_new():
    it = office()
    for amount in range(30):
        it.ask(amount)
        it.pass_time(MINUTE)
    it.pass_time(2 * HOUR)
    times = [time for time, message in it.came if message.body["type"] == DIGEST]
    assert times == [2 * MINUTE, 17 * MINUTE, 32 * MINUTE]
    assert [data["waiting"] for data in it.told] == [1, 15, 28]
    assert len({message.id for _, message in it.came}) == len(it.came), "a receiver drops an id that it knows"


def test_no_question_spends_more_than_a_quarter_of_its_time_waiting():
    it = office(expire_seconds=1200)
    it.beyond(3)
    it.work()
    it.world.now += SECOND
    it.ask(4)
    it.pass_time(5 * MINUTE)
    assert [time for time, _ in it.came] == [0, 0, 0, 5 * MINUTE] and it.told[-1]["waiting"] == 2


def test_a_question_that_would_lose_half_of_its_time_by_waiting_does_not_wait():
    it = office()
    it.beyond(3)
    it.work()
    assert it.kinds()[2:] == [DIGEST]
    it.world.generation = company(expire_seconds=29 * 60)
    it.world.now += SECOND
    it.ask(4)
    it.work()
    assert it.kinds()[3:] == [DIGEST], "a quarter of an hour is more than the half of it"


def test_a_message_that_can_be_changed_is_changed_and_said_anew_after_an_hour():
    it = office(SLACK)
    it.ask(1, 2, 3)
    it.pass_time(MINUTE)
    it.ask(4)
    it.pass_time(MINUTE)
    it.ask(5)
    it.pass_time(MINUTE)
    first, *changes = [message for _, message in it.came if message.body["type"] == DIGEST]
    assert first.receipt == "" and len(changes) == 2
    assert {message.receipt for message in changes} == {"C1:3"} and not any(message.anew for message in changes)
    assert [data["waiting"] for data in it.told] == [1, 2, 3]
    it.pass_time(HOUR // 2)
    it.ask(6)
    it.pass_time(MINUTE)
    assert [message.anew for _, message in it.came[-1:]] == [False]
    it.world.now += HOUR // 2 - 3 * MINUTE
    it.ask(7, 8, 9)
    it.pass_time(MINUTE)
    again = it.came[-1][1]
    assert again.body["type"] == DIGEST and again.anew and again.receipt == "C1:3"
    it.ask(10)
    it.pass_time(MINUTE)
    last = it.came[-1][1]
    assert not last.anew and last.receipt != "C1:3", "the new one is changed from then on"


def test_an_e_mail_digest_goes_to_those_who_read_the_channel():
    it = office(EmailChannel(people=("ann", "bob")))
    it.ask(1, 2, 3)
    it.work()
    assert [person.name for person in it.came[-1][1].people] == ["ann", "bob"] and it.kinds()[-1] == DIGEST


# --- What must not be lost --------------------------------------------------------------------------------------------


def test_two_stewards_agree_on_the_quota_and_tell_one_digest():
    it = office()
    calls = it.ask(*range(12))
    it.work("host-1", "host-2", rounds=3)
    assert it.kinds().count(ASKED) == 2 and it.kinds().count(DIGEST) == 1
    it.pass_time(HOUR)
    assert it.kinds().count(ASKED) == 2 and it.kinds().count(DIGEST) == 2, "one for those that came meanwhile"
    assert all(len(it.heard(call)) == 1 and it.heard(call)[0].done for call in calls)
    assert it.told[-1]["waiting"] == 10


def test_who_gets_the_lease_late_looks_whether_it_was_told_meanwhile():
    it = office()
    (call,) = it.beyond(3)
    looking = it.steward()

    async def lease(name: str, milliseconds: int) -> bool:
        kind, _, name = name.partition(":")
        if kind == "digest":  # the other host was just done with it
            told = Told(id="digest-2", status=202, receipt="", began=0, covered=1, not_before=it.world.now)
            await it.digests.told(name, told)
        return True

    looking.lease = lease
    looking.__post_init__()

    async def story() -> None:
        await looking.round()
        await settle()

    it.world.live(story)
    (fact,) = it.heard(call)
    assert (fact.done, fact.digest, fact.status) == (True, "digest-2", 202) and it.kinds() == [ASKED, ASKED]


@pytest.mark.parametrize("persists", [True, False])
def test_a_crash_between_a_digest_and_its_facts_leaves_nobody_unheard(persists):
    it = office()
    (call,) = it.beyond(3)
    it.world.journal.faults = [Fault(Notified, "crash", persists=persists)]
    it.work()
    assert it.kinds() == [ASKED, ASKED, DIGEST]
    it.world.restart(later=2 * HOUR)  # by then there would be room for it by itself
    it.pass_time(HOUR)
    (fact,) = it.heard(call)
    assert fact.done and fact.digest == it.came[2][1].id, "the digest is remembered, so it need not come again"
    assert it.kinds() == [ASKED, ASKED, DIGEST]


def test_a_crash_before_the_digest_is_remembered_leads_to_another(monkeypatch):
    it = office()
    (call,) = it.beyond(3)

    async def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(MemoryDigests, "told", crash)
        it.work()
    assert it.kinds() == [ASKED, ASKED, DIGEST] and not it.heard(call)
    it.world.restart(later=MINUTE)
    it.pass_time(HOUR)
    assert it.kinds() == [ASKED, ASKED, DIGEST, DIGEST] and it.heard(call)[0].done


def test_who_forgets_everything_tells_another_digest():
    it = office()
    it.ask(1, 2, 3)
    it.answer = lambda office, message: refusing() if message.body["type"] == DIGEST else office.taken(message)
    it.work()
    it.digests = MemoryDigests(it.world.clock)
    it.answer = lambda office, message: office.taken(message)
    it.pass_time(HOUR)
    assert it.kinds()[-1] in (ASKED, DIGEST) and not it.world.journal.notices
    assert all(it.heard(call)[-1].done for call in it.world.calls)


def test_a_question_that_comes_while_a_digest_is_on_its_way_is_not_taken_for_told():
    it = office()
    it.beyond()
    late: list[str] = []

    async def story() -> None:
        looking = it.steward()
        await it.world.ask(key="k-3", amount=3)

        async def meanwhile(channel: Channel, message: Message, now: int) -> Delivery:
            it.came.append((now, message))
            if not late:
                life, _ = await it.world.ask(key="k-4", amount=4)
                late.append(life.record.call.id)
                await looking.round()
                for _ in range(20):
                    await asyncio.sleep(0)
            return it.taken(message)

        it.deliver = meanwhile  # type: ignore[method-assign]
        await looking.round()
        await settle()

    it.world.live(story)
    assert late[0] not in listed(it.told[0]) and not it.heard(late[0])
    it.pass_time(HOUR)
    assert late[0] in listed(it.told[-1]) and it.heard(late[0])[-1].done


def test_a_receiver_that_is_down_for_an_hour_hears_of_all_in_few_attempts():
    it = office()
    it.answer = lambda office, message: office.taken(message) if office.world.now >= office.began + HOUR else refusing()
    calls = it.ask(*range(40))
    it.pass_time(20 * HOUR)
    attempts = [time for time, message in it.came if message.body["type"] == DIGEST]
    assert len([time for time in attempts if time < HOUR]) < 8, "and not forty times the schedule"
    assert any(HOUR <= time <= HOUR + 16 * MINUTE for time in attempts)
    assert all(it.heard(call)[-1].done for call in calls) and not it.world.journal.notices
    assert any(not fact.done and fact.error == "the receiver answered 503" for call in calls for fact in it.heard(call))


def test_retry_after_is_obeyed_by_all_whose_digest_it_is():
    it = office()
    it.answer = lambda office, message: (
        refusing(429, retry_after=1800.0)
        if message.body["type"] == DIGEST and len(office.told) == 1
        else office.taken(message)
    )
    it.ask(*range(6))
    it.pass_time(2 * HOUR)
    times = [time for time, message in it.came if message.body["type"] == DIGEST]
    assert times[1] - times[0] >= 30 * MINUTE


def test_a_receiver_that_wants_no_more_is_not_told_for_ever():
    it = office()
    it.answer = lambda office, message: refusing(410, gone=True)
    calls = it.ask(*range(4))
    it.pass_time(25 * HOUR)
    assert not it.world.journal.notices
    assert all(not fact.done for call in calls for fact in it.heard(call))


# --- What is never in a digest, and how it ends -----------------------------------------------------------------------


def test_the_ladder_is_climbed_message_by_message():
    it = office(expire_seconds=7200, remind_seconds=(900.0,))
    (call,) = it.beyond(3)
    it.work()
    assert it.kinds()[2:] == [DIGEST]
    for _ in range(3):
        it.world.now += HOUR // 2
        it.work(rounds=2)
    ladder = [message.body for _, message in it.came if message.body["data"].get("call") == call]
    assert [body["type"] for body in ladder] == ["approval.reminded", "approval.escalated"]
    assert all("input" in body["data"] for body in ladder), "whole, so that it can be decided"
    told = [m for _, m in it.came if m.body["data"].get("call") == call]
    assert told[0].receipt == "", "the digest is not the question's card"


def test_what_ends_is_told_in_the_digest_if_the_question_was():
    it = office()
    calls = it.ask(1, 2, 3, 4)
    it.pass_time(HOUR // 2)
    single = {message.body["data"]["call"] for _, message in it.came if message.body["type"] == ASKED}
    it.decide(*calls)
    before = len(it.came)
    it.pass_time(HOUR)
    news = [message.body for _, message in it.came[before:]]
    assert {body["data"]["call"] for body in news if body["type"] == "call.finished"} == single
    over = [item for body in news if body["type"] == DIGEST for item in body["data"]["over"]]
    assert {item["call"] for item in over} == set(calls) - single and len(over) == 2, "each once"
    assert over[0]["outcome"] == "Rejected" and over[0]["decided_by"] == ["ann"] and over[0]["state"] == "denied"
    assert it.told[-1]["waiting"] == 0 and it.told[-1]["expires_at"] is None
    assert all(it.heard(call)[-1].done for call in calls) and not it.world.journal.notices


def test_a_doubt_is_told_by_itself():
    it = office()
    (call,) = it.beyond(3)
    it.work()

    async def lose() -> None:
        it.world.upstream.script = [Behaviour(raises=TimeoutError())]
        await it.world.vote(call)
        await it.world.engine().unattended(call)

    it.world.live(lose)
    it.world.now += HOUR
    it.work(rounds=3)
    kinds = [message.body["type"] for _, message in it.came if message.body["data"].get("call") == call]
    assert any(isinstance(fact, Reported) and fact.kind == "call.in_doubt" for fact in it.world.facts(call))
    assert kinds == ["call.in_doubt"]
    it.ask(4, 5, 6)
    it.pass_time(HOUR)
    assert it.told[-1]["waiting"] == 1
    (kept,) = it.digests.kept.values()
    assert call not in kept.waits, "a doubt waits for somebody else"


def test_who_was_reminded_by_itself_hears_of_the_end_by_itself_and_the_digest_counts_it_no_more():
    it = office(remind_seconds=(60.0,))
    (call,) = it.beyond(3)
    it.work()
    it.world.now += 2 * MINUTE
    it.work(rounds=2)
    it.decide(call)
    it.work()
    kinds = [message.body["type"] for _, message in it.came if message.body["data"].get("call") == call]
    assert kinds == ["approval.reminded", "call.finished"]
    (kept,) = it.digests.kept.values()
    assert call not in kept.waits


def test_a_question_that_was_decided_before_its_digest_is_told_as_over_and_not_as_waiting():
    it = office()
    it.ask(1, 2, 3)
    it.work()
    (late,) = it.ask(4)
    it.work()
    it.decide(late)
    it.pass_time(HOUR)
    assert all(late not in listed(data) for data in it.told)
    assert [item["call"] for item in it.told[-1]["over"]] == [late]
    assert it.told[-1]["waiting"] == 1
    assert not it.heard(late)[0].done and it.heard(late)[0].error == "the question is no longer open"


def test_what_was_decided_just_now_is_not_counted_as_waiting():
    it = office()
    it.beyond(3)
    it.work()
    late, _ = it.ask(4, 5)
    it.work()
    it.world.live(partial(it.world.vote, late, approve=False))  # and nobody has driven the call on yet
    it.pass_time(HOUR // 2)
    assert it.told[-1]["waiting"] == 2 and late not in listed(it.told[-1])
    (kept,) = it.digests.kept.values()
    assert late not in kept.waits


def test_a_call_that_is_no_longer_kept_is_no_news():
    it = office()
    (call, gone) = it.beyond(3, 4)
    it.pass_time(HOUR // 2)
    it.world.now += SECOND
    it.ask(5)
    it.work()
    it.decide(call, gone)
    it.work()
    del it.world.journal.calls[gone]
    it.pass_time(HOUR)
    assert it.told[-1]["ended"] == 1 and [item["call"] for item in it.told[-1]["over"]] == [call]


def test_a_digest_with_nothing_in_it_is_not_told(monkeypatch):
    it = office()
    (call,) = it.beyond(3)
    with monkeypatch.context() as decided:
        decided.setattr("gateway.core.digest.waits", lambda record, group: False)
        it.work()
    assert it.kinds() == [ASKED, ASKED] and it.world.journal.notices
    it.pass_time(MINUTE)
    assert it.kinds()[2:] == [DIGEST] and it.heard(call)[0].done


def test_when_the_quota_is_taken_out_of_the_file_what_waits_is_told_by_itself():
    it = office()
    it.ask(1, 2, 3)
    it.work()
    it.ask(4)
    it.work()
    it.world.generation = company(batch=None)
    it.pass_time(HOUR)
    assert it.kinds() == [ASKED, ASKED, DIGEST, ASKED] and not it.world.journal.notices


def test_a_digest_lists_the_soonest_to_end_and_counts_the_others(monkeypatch):
    monkeypatch.setattr("gateway.core.digest.MOST_LISTED", 2)
    it = office()
    calls = it.ask(*range(7))
    it.pass_time(HOUR)
    assert (it.told[-1]["waiting"], len(it.told[-1]["questions"])) == (5, 2)
    assert all(it.heard(call)[-1].done for call in calls)


def test_the_quota_counts_what_was_shown_so_that_a_changed_question_is_another_one():
    it = office()
    it.ask(1)
    it.work()
    assert list(it.digests.counted["finance"]) == [it.came[0][1].body["data"]["fingerprint"]]
