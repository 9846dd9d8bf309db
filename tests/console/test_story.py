"""One call as a story, as values: of its facts alone, whole, and with where each of them is proven."""

from dataclasses import replace

from gateway.console.story import Leaf, is_whole, story
from gateway.core import story as telling
from gateway.core.facts import Admitted, Delivered
from gateway.core.segments import traces_of
from tests.company import ROUTES
from tests.console.test_drawing import APPROVED, DIRECT, at
from tests.playbook import ALLOW, CALL

NOW = APPROVED[-1].at + 1000


def told(facts, leaves=None, now=NOW):
    return story(facts, leaves or {}, ROUTES, now=now)


def test_the_head_says_who_what_and_how_it_ended():
    found = told(APPROVED)
    assert (found.call.agent, found.begun, found.ended) == (CALL.agent, APPROVED[0].at, APPROVED[-2].at)
    assert found.became.head == "Done" and found.became.text == "stripe answered 200."
    assert found.policies == ("over-50",)


def test_it_is_told_in_the_words_in_which_auditors_hear_it():
    found = told(APPROVED)
    assert found.sections == telling.story(APPROVED)
    assert "Who decided" in [section.heading for section in found.sections]


def test_what_is_not_over_has_no_end_and_reaches_to_now():
    found = told(APPROVED[:4])
    assert found.ended == 0 and found.became.head == "Waiting"
    assert found.wide.ticks[-1].label == "+42 min"


def test_each_fact_has_its_line_its_place_and_its_trace():
    found = told(APPROVED, {0: Leaf(41, "ab" * 32), 1: Leaf(42, "cd" * 32)})
    assert [line.number for line in found.lines] == list(range(1, 10))
    assert [line.leaf for line in found.lines[:3]] == [Leaf(41, "ab" * 32), Leaf(42, "cd" * 32), None]
    assert found.unsealed == 7
    first = found.lines[0]
    assert (first.name, first.since, first.clock[-5:]) == ("Admitted", "+0.000 s", ".000Z")
    assert first.says == "billing-bot asked for stripe.create_refund on Charge/ch_1 (POST, write)"
    traces = traces_of(APPROVED)
    assert {(line.trace, line.span) for line in found.lines} == {(one.trace_id, one.span_id) for one in traces}
    assert len(traces) == 2  # it slept while people were asked
    assert found.lines[3].trace == traces[0].trace_id and found.lines[4].trace == traces[1].trace_id


def test_a_trace_of_the_agents_own_is_named():
    call = replace(CALL, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert told([at(Admitted(call=call), 0), ALLOW]).lines[0].trace == "0af7651916cd43dd8448eb211c80319c"


def test_without_its_beginning_nothing_can_be_told():
    assert is_whole(DIRECT) and not is_whole(DIRECT[1:]) and not is_whole([]) and not is_whole([Delivered()])
