"""What a notice says when it is delivered, whatever happened since it was written."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.admit import Admission
from gateway.core.approval import shown
from gateway.core.facts import (
    Answered,
    Approved,
    Asked,
    Claimed,
    Escalated,
    Lost,
    Notice,
    Notified,
    Rejected,
    Reminded,
)
from gateway.core.messages import Message, Moot, Unspeakable, asks, channel_of, message
from gateway.core.payload import Answer, pack_answer
from gateway.core.record import Record
from gateway.core.routes import Away, EmailChannel, Group, Person, Routes
from tests.company import GROUPS, HOOK, NIGHT, PEOPLE, ROUTES, admission
from tests.playbook import ALLOW, FINANCE, HOLD, PRINT, Playbook

FIRST = Notice(id="n-1", group="finance", channel=0)
CFO = Person(name="cfo", email="cfo@acme.example", slack="U777", roles=frozenset({"approver"}))
PEOPLE_TOO = {**PEOPLE, "cfo": CFO}
BOARD = Group(name="board", members=("ann", "cfo"), channels=(HOOK, EmailChannel(people=("ann", "gone"))))
ALL = replace(ROUTES, people=PEOPLE_TOO, groups={**GROUPS, "board": BOARD})
QUESTION = Asked(fingerprint=PRINT, requirements=(FINANCE,), notices=(FIRST,), expire=3_600_000)


def held(*facts: Any) -> Record:
    story = Playbook(admission().call, now=NIGHT) >> HOLD
    story = story >> QUESTION
    for fact in facts:
        story = story >> fact
    return story.record


def said(
    record: Record, notice: Notice = FIRST, routes: Routes = ALL, payload: dict[str, bytes] | None = None,
    admitted: Admission | None = admission(user="kim"),  # noqa: B008 - a value
) -> Message:  # fmt: skip
    return message(
        record, notice, routes, admission=admitted, payload=payload or {}, control_url="https://gate.example", now=NIGHT
    )


def test_a_question_says_where_and_how_it_is_decided():
    told = said(held())
    data = told.body["data"]
    assert told.id == "n-1" and told.body["type"] == "approval.requested" and told.people == () == tuple(told.receipt)
    assert data["page"] == f"https://gate.example/inbox/{data['call']}?approval=finance"
    assert data["decide_in"] == ["page", "slack", "webhook", "token"] and "to" not in data


@pytest.mark.parametrize("kind", ["approval.reminded", "approval.escalated"])
def test_a_rung_says_the_question_again_and_to_whom(kind):
    notice = Notice(id="n-2", group="finance", channel=0, kind=kind, to=("cfo",))
    fact = Reminded(group="finance", notices=(notice,))
    told = said(held(fact), notice)
    assert told.body["type"] == kind and told.body["data"]["to"] == ["cfo"] and told.people == (CFO,)
    assert told.body["data"]["fingerprint"] == said(held()).body["data"]["fingerprint"]


def test_a_group_that_is_told_of_the_question_of_another_is_told_that_question():
    notice = Notice(id="n-2", group="board", channel=1, about="finance", kind="approval.escalated", to=("cfo",))
    record = held(Escalated(group="finance", to=("cfo",), notices=(notice,)))
    told = said(record, notice)
    assert told.body["data"]["approval"] == "finance" and told.body["data"]["fingerprint"] == shown(record, "finance")
    assert [person.name for person in told.people] == ["ann", "cfo"], "who left routes.yaml is not told"


def test_who_is_away_is_said_and_their_delegate_is_reached_instead():
    gone = replace(PEOPLE["ann"], away=Away(until=NIGHT + 1, delegate="bob"))
    mail = replace(GROUPS["finance"], channels=(EmailChannel(people=("ann", "bob", "carl")),))
    for now, reached, absent in ((NIGHT, ["bob", "carl"], {"ann": "bob"}), (NIGHT + 1, ["ann", "bob", "carl"], None)):
        routes = replace(ALL, people={**PEOPLE_TOO, "ann": gone}, groups={**GROUPS, "finance": mail})
        told = message(
            held(), FIRST, routes, admission=admission(), payload={}, control_url="https://gate.example", now=now
        )
        assert [person.name for person in told.people] == reached
        assert told.body["data"].get("away") == absent


VOTE = Approved(by="ann", group="finance", fingerprint=PRINT, requirements=(FINANCE,), via="t", on_behalf="bob")
SENT = (
    VOTE,
    ALLOW,
    Claimed(token="t", fingerprint=PRINT, lease=9),
)
DONE = Notice(id="n-9", group="finance", channel=0, kind="call.finished")
DOUBT = replace(DONE, kind="call.in_doubt")


def test_what_became_of_it_is_told_with_the_systems_id_and_whose_decision_it_was():
    record = held(*SENT, Answered(token="t", status=200, kept=True))
    answer = {"answer": pack_answer(Answer(status=200, headers=(), body=b'{"id": "re_7", "iban": "AT61"}'))}
    told = said(record, DONE, payload=answer).body
    assert told["type"] == "call.finished"
    data = told["data"]
    assert (data["state"], data["outcome"], data["decided_by"]) == ("answered", "Done", ["ann for bob"])
    assert data["told"] == "stripe answered 200. Its id there: re_7."
    assert data["approval"] == "finance" and "fingerprint" not in data and "input" not in data
    assert "AT61" not in json.dumps(told)


def test_a_call_whose_request_is_no_longer_kept_still_has_its_news():
    record = held(Rejected(by="ann", group="finance", fingerprint=PRINT, via="t", reason="no"))
    data = said(record, DONE, admitted=None).body["data"]
    assert (data["state"], data["outcome"], data["decided_by"]) == ("denied", "Rejected", ["ann"])
    assert data["summary"] == "stripe.refund for billing-bot"


def test_a_doubt_says_with_whom_it_is():
    record = held(*SENT, Lost(token="t", error="reset"))
    data = said(record, DOUBT).body["data"]
    assert data["state"] == "in doubt" and "It is with olga, who owns stripe" in data["told"]


def test_news_that_are_no_longer_so_are_moot():
    answered = held(*SENT, Answered(token="t", status=200))
    lost = held(*SENT, Lost(token="t", error="reset"))
    for record, notice in ((answered, DOUBT), (lost, DONE), (held(), DONE), (held(), DOUBT)):
        with pytest.raises(Moot):
            said(record, notice)


def test_a_question_that_was_answered_or_a_channel_that_is_gone_is_moot():
    rejected = held(Rejected(by="ann", group="finance", fingerprint=PRINT, via="t"))
    for record, notice, routes in (
        (rejected, FIRST, ALL),
        (held(*SENT), FIRST, ALL),
        (held(), replace(FIRST, group="legal"), ALL),
        (held(), replace(FIRST, channel=7), ALL),
        (held(), FIRST, replace(ALL, groups={})),
        (held(), replace(FIRST, group="board", about="finance"), replace(ALL, groups={"board": BOARD})),
    ):
        with pytest.raises(Moot):
            said(record, notice, routes)


def test_what_cannot_be_said_now_may_be_said_later():
    with pytest.raises(Unspeakable, match="just being judged"):
        said(held(VOTE))
    with pytest.raises(Unspeakable, match=r"as routes\.yaml is now"):
        said(held(), admitted=None)


def test_the_receipt_is_that_of_the_last_card_in_the_same_channel():
    second = replace(FIRST, id="n-2")
    elsewhere = replace(FIRST, id="n-3", channel=1)
    again = replace(QUESTION, notices=(second, elsewhere))

    def heard(notice: str, receipt: str) -> Notified:
        return Notified(notice=notice, attempt=1, status=200, done=True, receipt=receipt)

    first = held(heard("n-1", "C1:1"))
    assert said(first).receipt == "", "a message is not its own predecessor"
    record = held(heard("n-1", "C1:1"), again, heard("n-3", "C1:3"))
    assert said(record, second).receipt == "C1:1"
    over = Rejected(by="ann", group="finance", fingerprint=PRINT, via="t")
    assert said(held(heard("n-1", "C1:1"), again, heard("n-2", "C1:2"), over), DONE).receipt == "C1:2"


def test_kinds_that_ask_are_told_from_news():
    assert asks(FIRST) and not asks(DONE) and not asks(DOUBT)
    assert channel_of(FIRST, ALL) == HOOK
