"""How far apart digests are, where each is told, and what one says."""

import json
from dataclasses import replace

import pytest

from gateway.core import digest
from gateway.core.facts import Admitted, Notice, Notified, Rejected
from gateway.core.quota import Quota
from gateway.core.record import recall
from gateway.core.routes import Channel, EmailChannel, Slack
from tests.company import GROUPS, HOOK, SECRET, admission
from tests.pages import blocks
from tests.playbook import CALL, FINANCE, HOLD, asked, claimed

MINUTE, HOUR = 60_000, 3_600_000
DAY = replace(GROUPS["finance"], expire_seconds=86_400.0)
SLACK = Slack(channel="C1", workspace="T1", token=SECRET, signing_secret=SECRET)
QUESTION = Notice(id="n-1", group="finance", channel=0)
HELD = recall([Admitted(call=CALL), HOLD, replace(asked(FINANCE), notices=(QUESTION,))])


@pytest.mark.parametrize(
    ("batch", "expire", "wanted"),
    [
        (Quota(5, 3600.0), 86_400.0, 12 * MINUTE),
        (Quota(20, 60.0), 86_400.0, MINUTE),
        (Quota(2, 86_400.0), 86_400.0, 15 * MINUTE),
        (Quota(5, 3600.0), 1200.0, 5 * MINUTE),
        (Quota(5, 3600.0), 60.0, 15_000),
    ],
)
def test_digests_are_as_far_apart_as_single_questions_would_be_and_never_cost_a_question_its_time(
    batch, expire, wanted
):
    group = replace(DAY, expire_seconds=expire)
    assert digest.spacing(group, batch) == wanted
    assert digest.pause(group, batch, HOOK) == digest.pause(group, batch, EmailChannel(people=("ann",))) == wanted
    assert digest.pause(group, batch, SLACK) == min(5_000, wanted)


def test_a_message_is_said_anew_when_its_window_or_an_hour_is_over_and_somebody_is_wanted():
    hourly, daily, quick = Quota(5, 3600.0), Quota(5, 86_400.0), Quota(5, 60.0)

    def anew(batch: Quota, age: int, waiting: int = 1) -> bool:
        return digest.said_anew(batch, waiting=waiting, began=1_000, now=1_000 + age)

    assert not anew(hourly, HOUR - 1) and anew(hourly, HOUR) and anew(daily, HOUR) and anew(quick, MINUTE)
    assert not anew(hourly, 9 * HOUR, waiting=0)


def test_a_digest_belongs_to_a_place_and_not_to_a_position():
    channels: list[Channel] = [
        HOOK, replace(HOOK, url="https://other.example"), SLACK, replace(SLACK, channel="C2"),
        replace(SLACK, workspace="T2"), EmailChannel(people=("ann",)), EmailChannel(people=("ann", "bob")),
    ]  # fmt: skip
    names = {digest.name(group, channel) for channel in channels for group in ("finance", "legal")}
    assert len(names) == 14
    assert digest.name("finance", HOOK) == digest.name("finance", replace(HOOK, secret=replace(SECRET, name="NEW")))


def test_only_a_message_of_its_own_that_was_taken_counts_as_told_singly():
    def told(*, done: bool = True, digest_id: str = "") -> bool:
        heard = Notified(notice="n-1", attempt=1, status=200, done=done, digest=digest_id)
        return digest.told_singly(HELD.evolve(heard=(heard,)), replace(QUESTION, id="n-2", kind="call.finished"))

    assert told()
    assert not told(done=False) and not told(digest_id="digest-1")
    elsewhere = replace(QUESTION, id="n-2", channel=1)
    heard = Notified(notice="n-1", attempt=1, status=200, done=True)
    assert not digest.told_singly(HELD.evolve(heard=(heard,)), elsewhere)


def test_a_group_is_wanted_until_the_call_goes_on_or_is_refused():
    assert digest.waits(HELD, "finance") and not digest.waits(HELD, "legal")
    no = Rejected(by="ann", group="finance", fingerprint="f", via="token")
    assert not digest.waits(HELD.evolve(refusal=no), "finance")
    assert not digest.waits(HELD.evolve(claim=claimed()), "finance")


def test_a_line_says_what_who_and_until_when_also_of_a_call_that_can_no_longer_be_made():
    line = digest.line(HELD, admission(), "finance", "olga", control_url="https://g")
    call = HELD.call
    assert line["page"] == f"https://g/inbox/{call.id}?approval=finance" and line["owner"] == "olga"
    assert line["summary"].startswith("billing-bot wants to call stripe.refund(")
    gone = digest.line(HELD, None, "finance", "", control_url="https://g")
    assert gone["summary"] == f"{call.tool} for {call.agent}"
    assert set(line) == {"call", "page", "summary", "agent", "owner", "user", "tool", "expires_at"}


def test_the_guide_shows_a_digest_as_it_is():
    (shown,) = [block.text for block in blocks("json") if '"approval.digest"' in block.text]
    documented = json.loads(shown)
    line = digest.line(HELD, admission(), "finance", "olga", control_url="https://g")
    news = dict.fromkeys(documented["data"]["over"][0], "") | {"page": "p"}
    made = digest.digest("finance", [line], [news], waiting=1, ended=1, control_url="https://g", now=0)
    assert (list(made), list(made["data"])) == (list(documented), list(documented["data"]))
    for kind in ("questions", "over"):
        assert list(made["data"][kind][0]) == list(documented["data"][kind][0])
    assert made["data"]["expires_at"] == line["expires_at"]
    assert digest.digest("finance", [], [], waiting=0, ended=0, control_url="", now=0)["data"]["expires_at"] is None
