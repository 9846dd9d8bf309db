"""The story of a call, turn by turn: design section 5 as dialogues. `>>` a fact goes in, `<<` a step comes out."""

from dataclasses import replace

import pytest

from gateway.core.facts import (
    Abandoned,
    Admitted,
    Attached,
    Cancelled,
    Delivered,
    Ended,
    Expired,
    Notified,
    Resolved,
    Withdrawn,
)
from gateway.core.lifecycle import (
    BACKOFF_MS,
    GATEWAY_STATUSES,
    MOST_SENDS,
    Ask,
    Claim,
    Expire,
    Finish,
    Forfeit,
    Judge,
    Send,
    Wait,
    proves_nothing,
)
from gateway.core.record import after, recall
from tests.playbook import (
    ALLOW,
    CALL,
    DENY,
    EXPIRE,
    FINANCE,
    FINANCE_EDITED,
    HOLD,
    KEEPS,
    LEASE,
    LEGAL,
    ME,
    OTHER_PRINT,
    READ,
    REPEATABLE,
    TOMORROW,
    YOU,
    Playbook,
    answered,
    asked,
    claimed,
    judged,
    lost,
    no,
    unsent,
    yes,
)

# --- The straight line --------------------------------------------------------------------------------------------


def test_an_allowed_effect_is_claimed_then_sent_then_over():
    story = Playbook() << Judge() >> ALLOW << Claim() >> claimed() << Send() >> answered()
    _ = story << Finish(story.last)


def test_a_denied_call_is_over_and_stays_so_for_everybody():
    story = Playbook() >> DENY
    _ = story << Finish(story.last)
    _ = story.recalled().deployed(TOMORROW).at(EXPIRE) << Finish(story.last)


def test_a_read_needs_no_claim():
    story = Playbook(READ) << Judge() >> ALLOW << Send() >> answered("")
    _ = story << Finish(story.last)


def test_a_held_read_is_claimed_when_policies_allow_it_with_the_vote():
    story = (
        Playbook(READ)
        >> HOLD
        << Ask((FINANCE,))
        >> asked(FINANCE)
        << Wait(EXPIRE)
        >> yes()
        << Judge()
        >> ALLOW
        << Claim()
        >> claimed()
        << Send()
        >> answered()
    )
    _ = story << Finish(story.last)


def test_a_held_read_whose_sender_is_gone_is_over_and_not_in_doubt():
    story = Playbook(READ) >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed()
    _ = story.recalled().at(LEASE) << Forfeit(ME) >> lost(ME)
    assert story.record.doubts == frozenset()
    _ = story << Finish(story.last)


def test_what_a_held_read_came_to_without_a_claim_was_written_by_an_older_version():
    story = Playbook(READ) >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> answered("")
    _ = story << Finish(story.last)
    stranger = Playbook(READ) >> HOLD >> asked(FINANCE) >> yes() >> answered("somebody")
    assert stranger.record.answer is None


def test_a_read_that_is_lost_is_not_in_doubt():
    story = Playbook(READ) >> ALLOW >> lost("")
    assert story.record.doubts == frozenset()
    _ = story << Finish(story.last)


def test_a_read_that_could_not_be_sent_is_unreachable():
    story = Playbook(READ) >> ALLOW >> unsent("")
    _ = story << Finish(story.last)


def test_the_end_of_a_streamed_body_changes_no_outcome():
    story = Playbook() >> ALLOW >> claimed() >> answered()
    answer = story.last
    _ = story >> Ended(length=9, sha256="b" * 64, whole=False) << Finish(answer)
    assert story.record.ended is not None


# --- Rule 1: an allow is good only in the append that uses it -------------------------------------------------------


def test_a_lone_allow_in_the_journal_is_forgotten_and_judged_again():
    _ = (Playbook() >> ALLOW).recalled() << Judge()


def test_a_lone_allow_of_a_read_is_forgotten_too():
    _ = (Playbook(READ) >> ALLOW).recalled() << Judge()


def test_an_allow_that_was_used_is_remembered():
    story = (Playbook() >> ALLOW >> claimed()).recalled()
    assert story.record.judged is not None
    story = (Playbook() >> ALLOW >> claimed() >> answered()).recalled()
    assert story.record.judged is not None


def test_an_unused_allow_after_a_loss_is_forgotten():
    story = Playbook(REPEATABLE) >> ALLOW >> claimed() >> lost()
    _ = (story.at(BACKOFF_MS[1]) >> ALLOW).recalled() << Judge()


# --- Held ---------------------------------------------------------------------------------------------------------


def test_a_hold_asks_then_waits_until_it_expires():
    _ = Playbook(now=100) >> HOLD << Ask((FINANCE,)) >> asked(FINANCE) << Wait(100 + EXPIRE)


def test_a_vote_does_not_allow_it_has_the_call_judged_again():
    _ = Playbook() >> HOLD >> asked(FINANCE) >> yes() << Judge() >> ALLOW << Claim()


def test_a_vote_that_policies_no_longer_accept_does_not_help():
    story = Playbook() >> HOLD >> asked(FINANCE) >> yes() << Judge() >> DENY
    _ = story << Finish(story.last)


def test_one_of_two_approvals_leaves_it_held_and_asks_nobody_twice():
    story = Playbook() >> judged("hold", FINANCE, LEGAL) << Ask((FINANCE, LEGAL)) >> asked(FINANCE, LEGAL)
    _ = story >> yes() << Judge() >> judged("hold", LEGAL) << Wait(EXPIRE)


def test_votes_that_count_as_expected_ask_nobody_twice():
    story = Playbook() >> judged("hold", FINANCE, lacking=(2,)) << Ask((FINANCE,)) >> asked(FINANCE)
    _ = story >> yes("ann") << Judge() >> judged("hold", FINANCE, lacking=(1,)) << Wait(EXPIRE)


@pytest.mark.parametrize(
    ("votes", "lacking"),
    [((yes("ann"),), 1), ((yes("ann"),), 2), ((yes("ann"), yes("bob")), 1), ((), 3)],
    ids=["the voter left", "and the quorum rose", "one of two left", "the quorum rose before anybody voted"],
)
def test_people_are_asked_again_once_when_more_votes_are_needed_than_they_know(votes, lacking):
    story = Playbook() >> judged("hold", FINANCE, lacking=(max(1, len(votes)),)) >> asked(FINANCE)
    for vote in votes:
        story = story >> vote << Judge()
    story = story.at(1000) >> judged("hold", FINANCE, lacking=(lacking,))
    story = story << Ask((FINANCE,)) >> asked(FINANCE) << Wait(EXPIRE)
    _ = story.deployed(TOMORROW) >> judged("hold", FINANCE, generation=TOMORROW, lacking=(lacking,)) << Wait(EXPIRE)
    assert story.record.asked == (FINANCE,)


def test_a_second_vote_of_the_same_person_is_not_expected_to_count():
    story = Playbook() >> judged("hold", FINANCE, lacking=(2,)) >> asked(FINANCE) >> yes("ann") >> yes("ann")
    _ = story >> judged("hold", FINANCE, lacking=(1,)) << Wait(EXPIRE)


def test_a_call_held_by_another_generation_is_judged_again():
    story = Playbook() >> HOLD >> asked(FINANCE)
    _ = story.deployed(TOMORROW) << Judge() >> judged("hold", FINANCE, generation=TOMORROW) << Wait(EXPIRE)


def test_policies_may_deny_a_held_call_later():
    story = (Playbook() >> HOLD >> asked(FINANCE)).deployed(TOMORROW) >> judged("deny", generation=TOMORROW)
    _ = story << Finish(story.last)


def test_policies_may_allow_a_held_call_later():
    story = (Playbook() >> HOLD >> asked(FINANCE)).deployed(TOMORROW)
    _ = story >> judged("allow", generation=TOMORROW) << Claim()


def test_an_approval_policy_edited_while_held_is_asked_about_again_and_time_is_not_extended():
    story = Playbook() >> HOLD >> asked(FINANCE)
    story = story.at(1000).deployed(TOMORROW) >> judged("hold", FINANCE_EDITED, generation=TOMORROW)
    _ = story << Ask((FINANCE_EDITED,)) >> asked(FINANCE_EDITED) << Wait(EXPIRE)


def test_only_the_requirement_that_appeared_is_asked_about():
    story = Playbook() >> HOLD >> asked(FINANCE)
    _ = story.deployed(TOMORROW) >> judged("hold", FINANCE, LEGAL, generation=TOMORROW) << Ask((LEGAL,))


def test_an_upstream_or_credential_edited_while_held_asks_everything_again_and_time_is_not_extended():
    story = Playbook() >> HOLD >> asked(FINANCE)
    story = story.at(1000).deployed(TOMORROW)
    held_again = judged("hold", FINANCE, generation=TOMORROW, fingerprint=OTHER_PRINT)
    _ = story >> held_again << Ask((FINANCE,)) >> asked(FINANCE, fingerprint=OTHER_PRINT) << Wait(EXPIRE)
    assert story.record.asked == (FINANCE,)
    assert story.record.asked_fingerprint == OTHER_PRINT


def test_going_back_to_what_was_asked_first_asks_again():
    story = Playbook() >> HOLD >> asked(FINANCE) >> judged("hold", FINANCE, fingerprint=OTHER_PRINT)
    _ = story >> asked(FINANCE, fingerprint=OTHER_PRINT) >> HOLD << Ask((FINANCE,))


def test_nobody_may_approve_after_expiry():
    story = Playbook() >> HOLD >> asked(FINANCE)
    _ = story.at(EXPIRE - 1) << Wait(EXPIRE)
    _ = story.at(EXPIRE) << Expire() >> Expired()
    expired = story.last
    _ = story << Finish(expired) >> yes() << Finish(expired)


def test_a_call_expires_even_if_policies_changed_meanwhile():
    _ = (Playbook() >> HOLD >> asked(FINANCE)).at(EXPIRE).deployed(TOMORROW) << Expire()


def test_no_vote_extends_the_time():
    story = Playbook() >> HOLD >> asked(FINANCE, LEGAL)
    _ = story.at(EXPIRE - 1) >> yes() >> judged("hold", LEGAL) << Wait(EXPIRE)


@pytest.mark.parametrize(
    "refusal",
    [no(), Expired(), Withdrawn(), Cancelled(by="olga", via="token")],
    ids=["rejected", "expired", "withdrawn", "cancelled"],
)
def test_a_refusal_is_final(refusal):
    story = Playbook() >> HOLD >> asked(FINANCE) >> refusal
    first = story.last
    _ = story << Finish(first) >> yes() << Finish(first) >> no("bob") << Finish(first)
    _ = story.recalled().deployed(TOMORROW).at(10 * EXPIRE) << Finish(first)


def test_delivering_a_notice_changes_nothing():
    story = Playbook() >> HOLD >> asked(FINANCE)
    _ = story >> Notified(notice="notice-finance", attempt=1, status=500, done=False) << Wait(EXPIRE)


# --- The claim ----------------------------------------------------------------------------------------------------


def test_only_the_drive_that_wrote_the_claim_sends():
    story = Playbook(now=5) >> ALLOW >> claimed(YOU)
    _ = story << Wait(5 + LEASE)
    _ = story.as_("") << Wait(5 + LEASE)
    _ = story.as_(YOU) << Send()


def test_a_claim_whose_drive_is_gone_is_forfeited_and_the_call_is_in_doubt():
    story = Playbook() >> ALLOW >> claimed(YOU)
    _ = story.at(LEASE - 1) << Wait(LEASE)
    _ = story.at(LEASE) << Forfeit(YOU) >> lost(YOU)
    _ = story << Finish(story.last)
    assert story.record.doubts == {YOU}


@pytest.mark.parametrize("late", [yes(), no(), Withdrawn(), Expired()])
def test_a_late_vote_while_sending_changes_nothing(late):
    story = Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed()
    _ = story >> late << Send() >> answered()
    _ = story << Finish(story.last)


def test_a_late_yes_is_not_even_counted():
    sending = Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed()
    rejected = Playbook() >> HOLD >> asked(FINANCE) >> no()
    for story in (sending, rejected):
        before = story.record
        _ = story >> yes("bob")
        assert story.record == before.evolve(version=before.version + 1)


def test_a_late_vote_does_not_send_a_call_in_doubt_again():
    story = Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed() >> lost()
    doubt = story.last
    _ = story >> yes("bob") << Finish(doubt)


def test_what_was_provably_never_sent_is_unreachable():
    story = Playbook() >> ALLOW >> claimed() >> unsent()
    _ = story << Finish(story.last)


def test_an_effect_that_is_lost_is_in_doubt_for_ever():
    story = Playbook() >> ALLOW >> claimed() >> lost()
    for late in (LEASE, KEEPS, 100 * KEEPS):
        _ = story.at(late).recalled() << Finish(story.last)


def test_an_outcome_for_a_token_that_was_never_claimed_is_ignored():
    story = Playbook() >> ALLOW >> claimed()
    _ = story >> answered("forged") << Send() >> unsent("forged") << Send() >> lost("forged") << Send()


# --- Re-sending a repeatable call -----------------------------------------------------------------------------------


def lost_once() -> Playbook:
    return Playbook(REPEATABLE) >> ALLOW >> claimed("first") >> lost("first")


def test_a_repeatable_call_is_judged_claimed_and_sent_again_after_a_pause():
    story = lost_once() << Wait(BACKOFF_MS[1])
    _ = story.at(BACKOFF_MS[1]) << Judge() >> ALLOW << Claim() >> claimed() << Send()


def test_the_pause_grows_and_three_sends_are_all():
    story = lost_once().at(BACKOFF_MS[1]) >> ALLOW >> claimed("second") >> lost("second")
    third = BACKOFF_MS[1] + BACKOFF_MS[2]
    _ = story << Wait(third)
    story = story.at(third) >> ALLOW << Claim() >> claimed("third") >> lost("third")
    assert len(story.record.tokens) == MOST_SENDS
    _ = story << Finish(story.last)
    _ = story.at(third * 10).recalled() << Finish(story.last)


def test_never_again_after_half_of_the_time_the_system_keeps_keys():
    story = lost_once()
    _ = story.at(KEEPS // 2 - 1) << Judge()
    _ = story.at(KEEPS // 2) << Finish(story.last)


def test_half_of_the_time_counts_from_the_first_send():
    story = lost_once().at(KEEPS // 2 - 1) >> ALLOW >> claimed("second") >> lost("second")
    _ = story.at(KEEPS // 2 + BACKOFF_MS[2]) << Finish(story.last)


def test_never_again_under_another_credential_or_upstream():
    story = lost_once()
    doubt = story.last
    _ = story.at(BACKOFF_MS[1]) >> judged("allow", fingerprint=OTHER_PRINT) << Finish(doubt)


@pytest.mark.parametrize("verdict", [DENY, HOLD])
def test_policies_that_no_longer_allow_it_leave_it_in_doubt(verdict):
    story = lost_once()
    doubt = story.last
    _ = story.at(BACKOFF_MS[1]) >> verdict << Finish(doubt)
    _ = story.recalled() << Finish(doubt)


def test_a_resend_that_was_never_sent_does_not_settle_the_first():
    story = lost_once()
    doubt = story.last
    story = story.at(BACKOFF_MS[1]) >> ALLOW >> claimed("second") >> unsent("second")
    assert story.record.doubts == {"first"}
    _ = story.at(KEEPS) << Finish(doubt)


def test_unsent_settles_only_the_doubt_of_its_own_send():
    story = lost_once().at(BACKOFF_MS[1]) >> ALLOW >> claimed("second") >> lost("second") >> unsent("first")
    assert story.record.doubts == {"second"}


def test_an_unrepeatable_call_is_never_sent_again_whatever_is_judged():
    story = Playbook(replace(CALL, keeps_ms=KEEPS)) >> ALLOW >> claimed("first") >> lost("first")
    doubt = story.last
    for late in (0, BACKOFF_MS[1], BACKOFF_MS[2], LEASE):
        _ = story.at(late) << Finish(doubt)
    _ = story >> ALLOW << Finish(doubt)


def test_a_withdrawn_or_rejected_call_is_not_sent_again():
    story = lost_once()
    doubt = story.last
    _ = story.at(BACKOFF_MS[1]) >> no() << Finish(doubt)


@pytest.mark.parametrize("status", [409, 429, 401, *sorted(GATEWAY_STATUSES)])
def test_what_a_resend_was_answered_proves_nothing_about_the_first(status):
    assert proves_nothing(REPEATABLE, status, resent=True)


@pytest.mark.parametrize("status", [408, 502, 503, 504, 520, 521, 522, 523, 524])
def test_a_status_from_between_us_and_the_system_proves_nothing(status):
    assert proves_nothing(CALL, status, resent=False)
    assert not proves_nothing(READ, status, resent=False)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 402, 409, 422, 429, 500, 501, 505, 519, 525])
def test_any_other_status_is_the_systems_own_word(status):
    assert not proves_nothing(CALL, status, resent=False)


def test_a_tool_may_name_further_doubtful_statuses():
    assert proves_nothing(replace(CALL, doubtful=(500,)), 500, resent=False)


# --- Settling a doubt -----------------------------------------------------------------------------------------------


def test_a_late_answer_settles_a_doubt():
    story = Playbook() >> ALLOW >> claimed(YOU)
    _ = story.at(LEASE) >> lost(YOU) >> answered(YOU) << Finish(story.last)
    assert story.record.doubts == frozenset()


def test_a_late_unsent_settles_a_doubt():
    story = Playbook() >> ALLOW >> claimed(YOU)
    story = story.at(LEASE) >> lost(YOU) >> unsent(YOU)
    _ = story << Finish(story.last)


@pytest.mark.parametrize("acted", [True, False])
def test_an_operator_settles_a_doubt_and_nothing_is_sent_again(acted):
    story = lost_once() >> Resolved(by="olga", acted=acted)
    _ = story << Finish(story.last)
    _ = story.recalled().at(BACKOFF_MS[1]) << Finish(story.last)


def test_an_answer_that_comes_after_a_person_settled_it_is_told():
    story = Playbook() >> ALLOW >> claimed() >> lost() >> Resolved(by="olga", acted=False) >> answered()
    _ = story << Finish(story.last)
    assert story.record.resolved is not None  # so that the contradiction can be seen


def test_a_late_loss_does_not_reopen_what_was_answered_or_resolved():
    story = Playbook(REPEATABLE) >> ALLOW >> claimed("first") >> lost("first") >> ALLOW >> claimed("second")
    story = story >> answered("first")
    answer = story.last
    _ = story >> lost("second") << Finish(answer) >> unsent("second") << Finish(answer)
    story = lost_once() >> Resolved(by="olga", acted=True)
    settled = story.last
    _ = story >> lost("first") << Finish(settled)


# --- Keys and requesters ----------------------------------------------------------------------------------------


def test_every_key_that_was_attached_leads_here_once():
    story = (
        Playbook() >> Attached(key="key-2", keep=5) >> Attached(key="key-1", keep=9) >> Attached(key="key-2", keep=9)
    )
    assert story.record.keys == (("key-1", CALL.keep_ms), ("key-2", 5))


def test_a_requester_that_goes_away_after_delivery_is_owed_the_answer_again():
    story = Playbook() >> ALLOW >> claimed() >> answered() >> Delivered()
    assert story.record.delivered
    _ = story >> Abandoned()
    assert story.record.abandoned
    assert not story.record.delivered


def test_every_fact_counts_for_the_compare_and_swap():
    story = Playbook() >> HOLD >> asked(FINANCE) >> yes() >> no() >> no() >> Attached(key="key-1", keep=1)
    story = story >> answered("forged") >> Delivered()
    assert story.record.version == len(story.facts)


def test_a_call_is_admitted_once_and_first():
    record = Playbook().record
    with pytest.raises(ValueError, match="once"):
        after(record, Admitted(call=CALL))
    with pytest.raises(ValueError, match="first"):
        recall([ALLOW])


def test_telling_the_facts_one_by_one_or_recalling_them_is_the_same():
    story = Playbook() >> HOLD >> asked(FINANCE) >> yes() >> ALLOW >> claimed(ME) >> lost()
    assert recall(story.facts) == story.record


def test_an_approval_that_was_not_carried_out_in_time_is_over():
    """The process that recorded the vote died, and the gateway came back days later."""
    book = Playbook() >> HOLD >> asked(FINANCE) >> yes()
    assert book.record.expires_at is not None
    book.at(book.record.expires_at - 1) << Judge()
    book.at(book.record.expires_at) << Expire()
