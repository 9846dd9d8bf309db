"""Which keys lead to a call and for how long, and when somebody looks at it again."""

from dataclasses import replace

import pytest

from gateway.core.facts import Abandoned, Attached, Delivered, Expired, Resolved, Withdrawn
from gateway.core.lifecycle import BACKOFF_MS
from gateway.core.pointers import (
    EXECUTING_MS,
    HANDOVER_MS,
    OWED_MS,
    POLLED_MS,
    RECALL_MS,
    REFUSED_MS,
    REMINDER_MS,
    Pointer,
    Upkeep,
    attracts,
    in_hands_of,
    upkeep,
)
from tests.playbook import (
    ALLOW,
    CALL,
    DENY,
    EXPIRE,
    FINANCE,
    HOLD,
    LEASE,
    LEGAL,
    READ,
    REPEATABLE,
    TODAY,
    TOMORROW,
    Playbook,
    answered,
    asked,
    claimed,
    lost,
    no,
    unsent,
    yes,
)

KEY, MATCH, KEEP = CALL.key, CALL.match, CALL.keep_ms


def around(story: Playbook, *, fresh: bool = False) -> Upkeep:
    return upkeep(story.record, now=story.now, today=story.today, fresh=fresh)


def modes(found: Upkeep) -> dict[str, tuple[str, int | None]]:
    """Of the pointers that lead to the call."""
    kinds = ("key", "open")
    return {pointer.kind: (pointer.mode, pointer.ttl) for pointer in found.pointers if pointer.kind in kinds}


HELD = {"key": ("hold", None), "open": ("hold", None)}
FREE = {"key": ("free", 0), "open": ("free", 0)}
NEVER_OPEN = {"key": ("free", 0)}
"""The open pointer never led here, so there is nothing to do about it."""


def test_a_new_effect_takes_its_key_and_looks_whether_an_identical_call_is_open():
    found = around(Playbook() >> ALLOW >> claimed(), fresh=True)
    joins = Pointer(MATCH, "executing", "join", EXECUTING_MS)
    assert found.pointers == (Pointer(KEY, "key", "take"), Pointer(MATCH, "open", "test"), joins)
    assert found.due_in == LEASE
    assert found.expire_in is None


@pytest.mark.parametrize("call", [CALL, replace(READ, key=KEY, match=MATCH)], ids=["effect", "read"])
def test_a_new_hold_takes_both_so_that_identical_requests_attach(call):
    found = around(Playbook(call) >> HOLD >> asked(FINANCE), fresh=True)
    looks = (Pointer(MATCH, "executing", "look", EXECUTING_MS),) if call.acts else ()
    waits = Pointer("all", "held", "wait", EXPIRE)
    assert found.pointers == (Pointer(KEY, "key", "take"), Pointer(MATCH, "open", "take"), *looks, waits)
    assert found.due_in == EXPIRE
    assert found.expire_in is None


@pytest.mark.parametrize(
    "story",
    [Playbook() >> DENY, Playbook(replace(READ, key=KEY, match=MATCH)) >> ALLOW >> answered("")],
    ids=["denied", "read"],
)
def test_a_call_that_ends_in_its_first_append_leaves_nothing_to_meet(story):
    found = around(story, fresh=True)
    assert all(pointer.mode in ("test", "look") for pointer in found.pointers)  # looked at, never set
    assert (found.due_in, found.expire_in) == (None, KEEP + RECALL_MS)


def test_without_dedupe_there_are_no_pointers():
    off = replace(CALL, key="", match="")
    for fresh in (True, False):
        assert around(Playbook(off) >> ALLOW >> claimed(), fresh=fresh).pointers == ()
        assert modes(around(Playbook(off) >> HOLD >> asked(FINANCE), fresh=fresh)) == {}
        assert around(Playbook(off) >> ALLOW >> claimed() >> lost(), fresh=fresh).pointers == ()


# --- Open calls -----------------------------------------------------------------------------------------------------


def test_an_effect_that_is_merely_executing_does_not_attract_other_keys():
    assert modes(around(Playbook() >> ALLOW >> claimed())) == {"key": ("hold", None)}


OPEN = {
    "held": Playbook() >> HOLD >> asked(FINANCE),
    "approved": Playbook() >> HOLD >> asked(FINANCE) >> yes(),
    "a held effect being sent": Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed(),
    "abandoned while executing": Playbook() >> ALLOW >> claimed() >> Abandoned(),
    "waiting to be sent again": Playbook(REPEATABLE) >> ALLOW >> claimed() >> lost(),
    "being sent again": Playbook(REPEATABLE) >> ALLOW >> claimed("1") >> lost("1") >> ALLOW >> claimed("2"),
    "a held read": Playbook(replace(READ, key=KEY, match=MATCH)) >> HOLD >> asked(FINANCE),
}


@pytest.mark.parametrize("story", OPEN.values(), ids=OPEN.keys())
def test_an_open_call_attracts_every_identical_request_and_its_pointers_never_expire(story):
    assert modes(around(story)) == HELD
    assert around(story).expire_in is None


IN_DOUBT = {
    "just lost": Playbook() >> ALLOW >> claimed() >> lost(),
    "a gateway timeout": Playbook() >> ALLOW >> claimed() >> lost(status=504),
    "delivered as lost": Playbook() >> ALLOW >> claimed() >> lost() >> Delivered(),
    "rejected afterwards": Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed() >> lost() >> no("bob"),
    "given up re-sending": (Playbook(REPEATABLE) >> ALLOW >> claimed() >> lost()).at(REPEATABLE.keeps_ms),
}


@pytest.mark.parametrize("story", IN_DOUBT.values(), ids=IN_DOUBT.keys())
def test_a_call_in_doubt_stays_where_everybody_finds_it_until_it_is_settled(story):
    assert modes(around(story)) == HELD
    assert around(story).due_in == REMINDER_MS
    assert around(story).expire_in is None


def test_every_attached_key_leads_here():
    story = Playbook() >> HOLD >> asked(FINANCE) >> Attached(key="key-2", keep=5)
    assert [(p.name, p.mode, p.ttl) for p in around(story).pointers[:3]] == [
        (KEY, "hold", None),
        ("key-2", "hold", None),
        (MATCH, "hold", None),
    ]
    story = story >> yes() >> ALLOW >> claimed() >> answered()
    found = around(story).pointers
    assert [(p.name, p.ttl) for p in found[:3]] == [(KEY, KEEP), ("key-2", 5), (MATCH, OWED_MS)]
    assert found[3:] == (Pointer(MATCH, "executing", "stay", OWED_MS), Pointer("all", "held", "over"))


def test_a_call_outlives_every_key_that_leads_to_it():
    story = Playbook() >> ALLOW >> claimed() >> answered() >> Attached(key="long", keep=9 * KEEP)
    assert around(story).expire_in == 9 * KEEP + RECALL_MS


# --- Among those that wait for people -------------------------------------------------------------------------------


def listed(story: Playbook) -> list[tuple[str, int | None]]:
    return [(pointer.mode, pointer.ttl) for pointer in around(story).pointers if pointer.kind == "held"]


def test_a_held_call_is_listed_by_the_time_at_which_it_expires_however_often_it_is_asked_about():
    held = Playbook() >> HOLD >> asked(FINANCE)
    assert listed(held.at(1000)) == [("wait", EXPIRE - 1000)]
    assert listed(held.at(1000) >> HOLD >> asked(LEGAL)) == [("wait", EXPIRE - 1000)]
    assert listed(Playbook(replace(CALL, key="")) >> HOLD >> asked(FINANCE)) == [("wait", EXPIRE)], "without a key too"


@pytest.mark.parametrize(
    "then",
    [(yes(),), (yes(), ALLOW, claimed()), (no(),), (Expired(),), (Withdrawn(),), (DENY,)],
    ids=lambda then: str(len(then)),
)
def test_it_is_listed_no_longer_once_it_does_not_wait_for_people(then):
    story = Playbook() >> HOLD >> asked(FINANCE)
    for fact in then:
        story = story >> fact
    assert listed(story) == [("over", None)]


def test_one_that_nobody_was_asked_about_was_never_listed_and_costs_nothing():
    for story in (Playbook() >> ALLOW >> claimed(), Playbook() >> ALLOW >> claimed() >> answered(), Playbook() >> DENY):
        assert listed(story) == []


# --- When somebody looks again --------------------------------------------------------------------------------------


def test_a_held_call_is_looked_at_when_it_expires():
    assert around((Playbook() >> HOLD >> asked(FINANCE)).at(1000)).due_in == EXPIRE - 1000


def test_an_approved_call_is_looked_at_at_once():
    assert around(Playbook() >> HOLD >> asked(FINANCE) >> yes()).due_in == HANDOVER_MS


def test_a_call_held_by_another_generation_is_looked_at_at_once():
    story = (Playbook() >> HOLD >> asked(FINANCE)).deployed(TOMORROW)
    assert around(story).due_in == HANDOVER_MS


def test_a_claim_is_looked_at_when_it_is_over_also_by_its_own_drive():
    story = (Playbook() >> ALLOW >> claimed()).at(LEASE - 1)
    assert around(story).due_in == 1
    assert around(story.at(LEASE + 5)).due_in == HANDOVER_MS


def test_a_resend_is_due_after_its_pause():
    assert around(Playbook(REPEATABLE) >> ALLOW >> claimed() >> lost()).due_in == BACKOFF_MS[1]


# --- The end --------------------------------------------------------------------------------------------------------


def held_and_sent() -> Playbook:
    return Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed()


ENDED = {
    "answered and never asked about": (Playbook() >> ALLOW >> claimed() >> answered(), KEEP, 0),
    "answered with an error of the system": (Playbook() >> ALLOW >> claimed() >> answered(status=402), KEEP, 0),
    "answered after a hold": (held_and_sent() >> answered(), KEEP, OWED_MS),
    "answered to nobody": (Playbook() >> ALLOW >> claimed() >> answered() >> Abandoned(), KEEP, OWED_MS),
    "answered late": (Playbook() >> ALLOW >> claimed() >> lost() >> answered(), KEEP, OWED_MS),
    "delivered": (Playbook() >> ALLOW >> claimed() >> Abandoned() >> answered() >> Delivered(), KEEP, 0),
    "delivered, then asked for and left again": (
        Playbook() >> ALLOW >> claimed() >> Abandoned() >> answered() >> Delivered() >> Abandoned(), KEEP, OWED_MS,
    ),
    "rejected": (Playbook() >> HOLD >> asked(FINANCE) >> no(), KEEP, REFUSED_MS),
    "expired": (Playbook() >> HOLD >> asked(FINANCE) >> Expired(), KEEP, REFUSED_MS),
    "settled as acted": (
        Playbook() >> ALLOW >> claimed() >> lost() >> Resolved(by="olga", acted=True), KEEP, OWED_MS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("story", "key", "open_"), ENDED.values(), ids=ENDED.keys())
def test_how_long_the_pointers_of_an_ended_call_last(story, key, open_):
    found = modes(around(story))
    assert found["key"] == ("hold", key)
    attracted = story.record.asked or story.record.abandoned or story.record.lost
    assert found.get("open") == (("hold", open_) if open_ else ("free", 0) if attracted else None)
    assert (around(story).due_in, around(story).expire_in) == (None, KEEP + RECALL_MS)


NOTHING_HAPPENED = {
    "denied after a hold": Playbook() >> HOLD >> asked(FINANCE) >> yes() >> DENY,
    "withdrawn": Playbook() >> HOLD >> asked(FINANCE) >> Withdrawn(),
    "unreachable": Playbook() >> ALLOW >> claimed() >> unsent(),
    "answered 401": Playbook() >> ALLOW >> claimed() >> answered(status=401),
    "answered 429": Playbook() >> ALLOW >> claimed() >> answered(status=429),
    "settled as never happened": Playbook() >> ALLOW >> claimed() >> lost() >> Resolved(by="olga", acted=False),
}


@pytest.mark.parametrize("story", NOTHING_HAPPENED.values(), ids=NOTHING_HAPPENED.keys())
def test_a_call_that_provably_did_nothing_lets_go(story):
    attracted = story.record.asked or story.record.lost
    assert modes(around(story)) == (FREE if attracted else NEVER_OPEN)
    assert (around(story).due_in, around(story).expire_in) == (None, KEEP + RECALL_MS)


def test_a_status_that_means_not_acted_is_the_tools_to_say():
    story = Playbook(replace(CALL, not_acted=(402,))) >> ALLOW >> claimed()
    assert modes(around(story >> answered(status=402))) == NEVER_OPEN
    story = Playbook(replace(CALL, not_acted=(402,))) >> ALLOW >> claimed()
    assert modes(around(story >> answered(status=401)))["key"] == ("hold", KEEP)


def test_a_read_that_was_lost_lets_go():
    held_read = replace(READ, key=KEY, match=MATCH)
    story = Playbook(held_read) >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> lost("")
    assert modes(around(story)) == FREE
    assert around(story).due_in is None


# --- What an identical request meets, although the open pointer leads to another call ---------------------------------


def among_the_sent(story: Playbook) -> tuple[str, int | None] | None:
    """What becomes of the call among those that were sent for the same; None: nothing, it stays as it joined."""
    found = [(item.mode, item.ttl) for item in around(story).pointers if item.kind == "executing"]
    return found[0] if found else None


def sent() -> Playbook:
    return Playbook() >> ALLOW >> claimed()


SENT = {
    "being sent": (sent(), None, False, "worker"),
    "left while it was sent": (sent() >> Abandoned(), ("stay", None), True, None),
    "in doubt": (sent() >> lost(), ("stay", None), True, None),
    "answered": (sent() >> answered(), None, False, "worker"),
    "answered to nobody": (sent() >> answered() >> Abandoned(), ("stay", OWED_MS), True, None),
    "answered after a hold": (held_and_sent() >> answered(), ("stay", OWED_MS), True, None),
    "polled": (held_and_sent() >> answered() >> Delivered(polled=True), ("stay", POLLED_MS), True, None),
    "delivered": (held_and_sent() >> answered() >> Delivered(), ("leave", None), False, None),
    "answered 429": (sent() >> answered(status=429), ("leave", None), False, None),
    "unreachable": (sent() >> unsent(), ("leave", None), False, None),
    "settled": (sent() >> lost() >> Resolved(by="o", acted=False), ("leave", None), False, None),
    "settled as acted": (
        sent() >> lost() >> Resolved(by="o", acted=True), ("stay", OWED_MS), True, None,
    ),
    "held": (Playbook() >> HOLD >> asked(FINANCE), None, True, None),
}  # fmt: skip


@pytest.mark.parametrize(("story", "pointer", "draws", "hands"), SENT.values(), ids=SENT.keys())
def test_what_was_sent_is_met_until_its_answer_was_handed_over(story, pointer, draws, hands):
    assert among_the_sent(story) == pointer
    assert attracts(story.record, since=0, now=1) is draws
    if not draws:
        assert in_hands_of(story.record) == (None if hands is None else story.record.latest.worker)


def test_a_read_is_never_among_those_that_acted():
    story = Playbook(replace(READ, key=KEY, match=MATCH)) >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed()
    assert among_the_sent(story) is among_the_sent(story >> answered()) is None


@pytest.mark.parametrize(
    ("story", "ttl"), [(SENT["answered to nobody"][0], OWED_MS), (ENDED["rejected"][0], REFUSED_MS)], ids=["owed", "no"]
)
def test_what_attracts_for_a_while_does_so_as_long_as_its_open_pointer_lasts(story, ttl):
    assert attracts(story.record, since=5, now=5 + ttl - 1)
    assert not attracts(story.record, since=5, now=5 + ttl)
    assert in_hands_of(story.record) is None  # after that it is over; nobody's life is waited for


def test_whoever_writes_arrives_at_the_same_upkeep():
    """The record alone decides, so a crashed writer's successor need not know what it was about to do."""
    story = Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed()
    mine = upkeep(story.record, now=0, today=TODAY, fresh=False)
    assert upkeep(story.recalled().record, now=0, today=TODAY, fresh=False) == mine


def test_an_answer_that_was_only_looked_at_attracts_the_request_that_fetches_it():
    """An agent reads /calls/{id}, then runs its SDK's line again under a new key: that is still this call."""
    story = held_and_sent() >> answered() >> Delivered(polled=True)
    assert modes(around(story))["open"] == ("hold", POLLED_MS)
    assert modes(around(story >> Delivered()))["open"] == ("free", 0)


def test_looking_at_an_answer_that_was_handed_over_attracts_nothing():
    story = held_and_sent() >> answered() >> Delivered()
    assert modes(around(story >> Delivered(polled=True)))["open"] == ("free", 0)
