"""What people were shown, told fact by fact: when it is looked at, looked at again, and what that does to their yes."""

from dataclasses import replace

import pytest

from gateway.core.approval import Decision, Stale, may_vote, shown
from gateway.core.facts import Asked, Edited, Previewed, Rung
from gateway.core.lifecycle import Ask, Claim, Expire, Finish, Judge, Look, Wait
from gateway.core.looking import BACKOFF_MS, BLIND
from gateway.core.pointers import LOOKING_MS
from gateway.core.segments import after, begin
from gateway.core.timeline import state
from tests.company import ROUTES
from tests.playbook import (
    ALLOW,
    EXPIRE,
    FINANCE,
    HOLD,
    LEGAL,
    OTHER_PRINT,
    PRINT,
    REPEATABLE,
    TOMORROW,
    Playbook,
    asked,
    claimed,
    judged,
    lost,
    unsent,
    yes,
)

ABOUT = ("charge",)
LIFTED = judged("allow", FINANCE)


def question(*names: str, fingerprint: str = PRINT) -> Asked:
    return replace(asked(FINANCE, fingerprint=fingerprint), previews=names or ABOUT)


def seen(name: str = "charge", *, bound: str = "b1", fingerprint: str = PRINT, failed: str = "") -> Previewed:
    return Previewed(name=name, call="r", digest="d", bound=bound, failed=failed, fingerprint=fingerprint)


def again(name: str = "charge", *, failed: str = "", changed: tuple[str, ...] = (), bound: str = "b1") -> Previewed:
    return replace(seen(name, failed=failed, bound=bound), again=True, changed=changed)


def approved() -> Playbook:
    return Playbook() >> HOLD >> question() >> seen() >> yes()


def test_the_system_is_looked_at_after_the_question_and_before_the_wait():
    story = Playbook() >> HOLD << Ask((FINANCE,))
    story = story >> question() << Look(ABOUT)
    assert state(story.record) == "held"
    story >> seen() << Wait(EXPIRE)


def test_each_preview_is_looked_at_once():
    story = Playbook() >> HOLD >> question("a", "b") >> seen("a") << Look(("b",))
    story >> seen("b", failed="no") << Wait(EXPIRE)


def test_a_question_without_previews_looks_at_nothing():
    story = Playbook() >> HOLD >> asked(FINANCE) << Wait(EXPIRE)
    assert story.record.sight is BLIND
    story >> yes() >> LIFTED << Claim()


def test_another_request_is_looked_at_anew_and_another_forbid_is_not():
    story = Playbook() >> HOLD >> question() >> seen()
    story = story >> judged("hold", LEGAL) << Ask((LEGAL,))
    story = story >> replace(asked(LEGAL), previews=ABOUT) << Wait(EXPIRE)
    story = story >> judged("hold", FINANCE, fingerprint=OTHER_PRINT) << Ask((FINANCE,))
    story >> question(fingerprint=OTHER_PRINT) << Look(ABOUT)


def test_a_picture_of_another_request_shows_nothing_of_this_one():
    Playbook() >> HOLD >> question() >> seen(fingerprint=OTHER_PRINT) << Look(ABOUT)


def test_a_bound_picture_is_looked_at_again_before_the_claim():
    story = approved() << Judge()
    story = story >> LIFTED << Look(ABOUT, again=True)
    story = story >> again() << Claim()
    story = story >> LIFTED << Claim()
    story >> claimed()
    assert story.record.claim is not None


def test_an_unbound_picture_is_not():
    Playbook() >> HOLD >> question() >> seen(bound="") >> yes() >> LIFTED << Claim()


def test_an_allow_that_needs_no_yes_is_bound_to_nothing():
    approved() >> ALLOW << Claim()


def test_what_was_shown_of_another_request_binds_nobody():
    approved() >> judged("allow", FINANCE, fingerprint=OTHER_PRINT) << Claim()


def test_a_group_that_said_nothing_is_asked_about_the_change_too():
    both = judged("hold", FINANCE, LEGAL, lacking=(1, 1))
    story = Playbook() >> both >> replace(asked(FINANCE, LEGAL), previews=ABOUT) >> seen() >> yes()
    story = story >> judged("allow", FINANCE, LEGAL) >> again(changed=("amount",), bound="b2")
    story >> both << Ask((FINANCE, LEGAL))


def test_every_bound_picture_must_be_as_it_was():
    story = Playbook() >> HOLD >> question("a", "b") >> seen("a") >> seen("b") >> yes() >> LIFTED
    story = story >> again("b") << Look(("a",), again=True)
    story >> again("a") << Claim()


def test_that_it_is_still_so_is_good_for_one_append_alone():
    story = approved() >> LIFTED >> again()
    story = story.recalled() << Judge()
    story >> LIFTED << Look(ABOUT, again=True)


def test_that_it_is_still_so_is_forgotten_with_the_allow():
    story = approved() >> LIFTED >> again() >> judged("hold", FINANCE, lacking=(1,))
    story = story >> question() >> yes() >> LIFTED
    story << Look(ABOUT, again=True)


def test_what_changed_voids_the_votes_and_is_asked_again():
    story = approved() >> LIFTED
    before = shown(story.record, "finance")
    story = story >> again(changed=("amount",), bound="b2") << Judge()
    assert story.record.votes == ()
    story = story >> HOLD << Ask((FINANCE,))
    story = story >> question() << Wait(EXPIRE)
    assert shown(story.record, "finance") != before
    story >> yes() >> LIFTED << Look(ABOUT, again=True)


def sent_and_lost() -> Playbook:
    story = Playbook(REPEATABLE) >> HOLD >> question() >> seen() >> yes() >> LIFTED >> again() >> LIFTED
    return story >> claimed("first") >> lost("first")


def test_every_send_is_preceded_by_a_look():
    story = sent_and_lost() << Wait(500)
    story = story.at(500) << Judge()
    story = story >> LIFTED << Look(ABOUT, again=True)
    assert story.upkeep.due_in is not None
    story = story >> again() << Claim()
    story >> LIFTED >> claimed("second") >> lost("second")
    story = story.at(2_500) >> LIFTED << Look(ABOUT, again=True)
    story >> again() << Claim()


def test_that_it_was_still_so_before_the_first_send_is_forgotten_with_it():
    story = sent_and_lost().recalled().at(500) >> LIFTED << Look(ABOUT, again=True)
    (story >> again()).recalled() << Judge()
    refused = sent_and_lost().at(500) >> LIFTED >> again() >> claimed("second") >> unsent("second")
    refused.at(2_500) >> LIFTED << Look(ABOUT, again=True)


def test_what_changed_after_a_send_may_be_its_effect_so_it_stays_in_doubt():
    story = sent_and_lost().at(500) >> LIFTED >> again(changed=("amount",), bound="b2") << Judge()
    assert story.record.votes == () and story.record.asked, "those who were asked hear of the doubt"
    story = story >> judged("hold", FINANCE, lacking=(1,)) << Finish
    assert state(story.record) == "in doubt"
    story.recalled().at(60_000) << Finish


def test_what_cannot_be_seen_after_a_send_is_tried_as_often_as_a_send():
    story = sent_and_lost().at(500) >> LIFTED >> again(failed="timed out") << Wait(2_500)
    assert state(story.record) == "in doubt"
    story = story.recalled().at(2_500) << Judge()
    story = story >> LIFTED << Look(ABOUT, again=True)
    (story >> again()) << Claim()
    story = sent_and_lost().at(500) >> LIFTED >> again(failed="timed out")
    story = story.at(2_500) >> LIFTED >> again(failed="timed out") << Finish
    assert len(story.record.votes) == 1


def test_what_cannot_be_seen_stays_held_and_is_tried_again():
    story = approved() >> LIFTED >> again(failed="timed out", bound="")
    assert state(story.record) == "held" and len(story.record.votes) == 1
    now = 0
    for pause in (*BACKOFF_MS, BACKOFF_MS[-1]):
        story = story.at(now) << Wait(now + pause)
        now += pause
        story = story.at(now) << Judge()
        story = story >> LIFTED << Look(ABOUT, again=True)
        story = story >> again(failed="timed out", bound="")
    story = story.recalled() << Wait(now + BACKOFF_MS[-1])
    story = story.at(now + BACKOFF_MS[-1]) << Judge()
    story >> LIFTED >> again() << Claim()


def test_no_pause_outlives_the_hold():
    story = approved().at(EXPIRE - 1) >> LIFTED >> again(failed="timed out") << Wait(EXPIRE)
    story.at(EXPIRE) << Expire()


def test_after_a_hold_the_pauses_begin_anew():
    story = approved() >> LIFTED >> again(failed="timed out") >> again(failed="timed out")
    story = story >> judged("hold", FINANCE, lacking=(1,))
    assert story.record.sight.unread == ()


def test_a_picture_of_what_is_claimed_already_changes_nothing():
    story = approved() >> LIFTED >> again() >> claimed()
    before = story.record.sight
    assert (story >> again(changed=("amount",))).record.sight == before
    assert len(story.record.votes) == 1


def test_the_notices_of_a_picture_are_notices_of_the_call():
    note = asked(FINANCE).notices
    story = approved() >> LIFTED >> replace(again(failed="timed out"), notices=note)
    assert story.record.notices[-1:] == note


def test_whoever_looks_has_time_before_the_steward_does_it():
    story = Playbook() >> HOLD >> question()
    assert story.upkeep.due_in == LOOKING_MS


def test_what_is_shown_of_the_system_is_part_of_what_is_decided_on():
    def digest(*facts: Previewed) -> str:
        story = Playbook() >> HOLD >> question("a", "b")
        for fact in facts:
            story = story >> fact
        return shown(story.record, "finance")

    unbound = digest(seen("a", bound=""), seen("b", bound=""))
    assert unbound == shown((Playbook() >> HOLD >> asked(FINANCE)).record, "finance")
    one = digest(seen("a"), seen("b", bound=""))
    other = digest(seen("a", bound=""), seen("b"))
    both = digest(seen("a"), seen("b"))
    changed = digest(seen("a", bound="b2"), seen("b"))
    assert len({unbound, one, other, both, changed}) == 5
    assert both == digest(seen("b"), seen("a"))


def test_nobody_decides_on_what_nobody_has_looked_at():
    story = Playbook() >> HOLD >> question()
    decision = Decision(
        approve=False, by="ann", group="finance", fingerprint=shown(story.record, "finance"), via="token"
    )
    with pytest.raises(Stale, match="just being looked at"):
        may_vote(story.record, decision, ROUTES, now=0)
    story = story >> seen(bound="")
    assert may_vote(story.record, decision, ROUTES, now=0).requirements == (FINANCE,)


def test_another_generation_is_judged_before_anything_is_looked_at():
    story = Playbook() >> HOLD >> question()
    story.deployed(TOMORROW) << Judge()


def test_what_was_edited_is_looked_at_anew():
    story = approved() >> Edited(
        by="bob", group="finance", via="token", before=PRINT, fingerprint=OTHER_PRINT, changed=("amount",)
    )
    story = story >> judged("hold", FINANCE, fingerprint=OTHER_PRINT) << Ask((FINANCE,))
    story = story >> question(fingerprint=OTHER_PRINT) << Look(ABOUT)
    story >> seen(fingerprint=OTHER_PRINT) << Wait(EXPIRE)


def test_whoever_said_yes_may_take_it_back_before_anything_is_looked_at_again():
    first, waiting = judged("hold", FINANCE, lacking=(1,)), judged("hold", FINANCE, lacking=(0,))
    story = Playbook() >> first >> question() >> seen() >> replace(yes(), undo=10_000) >> waiting << Wait(10_000)
    story = story.at(10_000) << Judge()
    story >> LIFTED << Look(ABOUT, again=True)


def test_nobody_is_reminded_of_what_everybody_has_decided():
    ladder = (Rung(group="finance", after=1_000, kind="remind"),)
    story = Playbook() >> HOLD >> replace(question(), ladder=ladder) >> seen() >> yes() >> LIFTED
    story = story >> again(failed="timed out") << Wait(BACKOFF_MS[0])
    story.at(2_000) << Wait(BACKOFF_MS[0])


def test_a_trace_of_a_release_that_did_not_come_about_is_over():
    facts = [*approved().facts, LIFTED]
    life = begin(facts)
    assert life is not None and life.open
    assert not after(life, again(failed="timed out")).open
    assert not after(life, again(changed=("amount",))).open
    assert after(life, again()).open
