"""The picture of a call, as values: places in time, cuts, lanes, shapes, and that it stays within its bounds."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.drawing import LANES, NARROW, TONES, TRACKS, WIDE, draw, placed
from gateway.console.scale import LABEL, LONG_MS
from gateway.core import facts
from gateway.core.codec import decode
from gateway.core.facts import Admitted, Answered, Claimed, Delivered, Expired, Lost, Notified, Resolved
from tests.playbook import ALLOW, CALL, FINANCE, HOLD, LEASE, ME, PRINT, asked, judged, yes

GOLDEN = Path(__file__).parent.parent / "core" / "golden" / "facts.jsonl"
EXAMPLES = [decode(line) for line in GOLDEN.read_bytes().splitlines()]
"""At least one of every kind of fact."""
AT = 1_795_168_800_000
MINUTE = 60_000
BOTH = pytest.mark.parametrize("width", [WIDE, NARROW])


def at(fact, milliseconds):
    return replace(fact, at=AT + milliseconds)


def claimed(at_ms):
    return at(Claimed(token=ME, fingerprint=PRINT, lease=LEASE), at_ms)


def answered(at_ms, status=200):
    return at(Answered(token=ME, status=status, length=2), at_ms)


DIRECT = [at(Admitted(call=CALL), 0), at(ALLOW, 0), claimed(0), answered(200), at(Delivered(), 300)]
APPROVED = [
    at(Admitted(call=CALL), 0), at(HOLD, 0), at(asked(FINANCE), 0),
    at(Notified(notice="notice-finance", attempt=1, status=200, done=True), 100),
    at(yes("ann"), 42 * MINUTE), at(judged("allow", FINANCE), 42 * MINUTE), claimed(42 * MINUTE),
    answered(42 * MINUTE + 230), at(Delivered(), 42 * MINUTE + 240),
]  # fmt: skip


def mark(drawing, number):
    return next(mark for mark in drawing.marks if number in mark.numbers)


@pytest.mark.parametrize("kind", facts.Fact.__args__)
def test_every_fact_has_a_place_and_a_shape(kind):
    examples = [fact for fact in EXAMPLES if type(fact) is kind]
    assert examples
    for fact in examples:
        lane, tone = placed(fact)
        assert lane in LANES and tone in TONES


def test_what_went_ill_looks_otherwise_than_what_went_well():
    assert [placed(judged(decision))[1] for decision in ("allow", "hold", "deny")] == ["good", "waits", "bad"]
    assert [placed(answered(0, status))[1] for status in (200, 302, 404, 500)] == ["good", "good", "bad", "bad"]
    undelivered = Notified(notice="n", attempt=1, status=0, done=False, error="refused")
    assert placed(undelivered) == ("people", "bad")


@BOTH
def test_time_is_to_scale_within_a_stretch(width):
    drawing = draw(DIRECT, width=width)
    first, sent, came, gone = (mark(drawing, number).x for number in (1, 3, 4, 5))
    assert first == sent and (came - first) == pytest.approx(2 * (gone - came), rel=0.01)
    assert drawing.cuts == ()


@BOTH
def test_a_long_wait_is_cut_out_and_says_how_long_it_was(width):
    drawing = draw(APPROVED, width=width)
    assert [cut.says for cut in drawing.cuts] == ["41 min"]  # from the notice on
    notified, decided, done = (mark(drawing, number).x for number in (4, 5, 8))
    [cut] = drawing.cuts
    assert notified < cut.x < cut.end < decided
    told = mark(drawing, 1).x
    assert (done - decided) == pytest.approx(2.3 * (notified - told), rel=0.01)  # the same scale on both sides


def test_a_wait_that_everything_else_can_be_seen_beside_is_not_cut():
    story = [at(Admitted(call=CALL), 0), at(HOLD, 0), at(asked(FINANCE), 0), at(yes("ann"), LONG_MS - 1)]
    assert draw(story, width=WIDE).cuts == ()
    even = [at(Admitted(call=CALL), 0), *(at(yes("ann"), number * MINUTE) for number in range(1, 6))]
    assert draw(even, width=WIDE).cuts == ()


def test_only_so_many_waits_are_cut_that_something_is_left():
    story = [at(Admitted(call=CALL), 0)]
    for number in range(1, 41):
        story += [at(yes("ann"), number * 60 * MINUTE), at(yes("ann"), number * 60 * MINUTE + 5)]
    drawing = draw(story, width=NARROW)
    assert len(drawing.cuts) <= 3 and inside(drawing)


@BOTH
def test_what_cannot_be_told_apart_is_stacked_and_then_counted(width):
    notified = Notified(notice="n", attempt=1, status=200, done=True)
    failed = Notified(notice="n", attempt=1, status=500, done=False, error="no")
    drawing = draw([DIRECT[0], *[at(notified, 1)] * 6, at(failed, 1), at(notified, 1)], width=width)
    people = [mark for mark in drawing.marks if mark.lane == "people"]
    assert len(people) == TRACKS and len({mark.y for mark in people}) == TRACKS
    assert [len(mark.numbers) for mark in people] == [1] * (TRACKS - 1) + [8 - TRACKS + 1]
    assert people[-1].tone == "bad" and people[-1].label == "\u00d76"  # the worst of them shows
    assert people[-1].says == "6 facts, 4 to 9"


def test_bars_are_what_lasted():
    drawing = draw(APPROVED, width=WIDE)
    waits, sends = drawing.bars
    assert (waits.kind, waits.x, waits.end) == ("waits", mark(drawing, 3).x, mark(drawing, 6).x)
    assert waits.says == "people were asked for 42 min"
    assert (sends.kind, sends.x, sends.end) == ("sends", mark(drawing, 7).x, mark(drawing, 8).x)
    assert sends.says == "with the system for 230 ms"


def test_a_doubt_lasts_until_somebody_settles_it():
    lost = at(Lost(token=ME, error="reset"), 100)
    settled = at(Resolved(by="op", acted=True), 90_000)
    doubt = draw([*DIRECT[:3], lost, settled], width=WIDE).bars[-1]
    assert doubt.kind == "doubt" and doubt.says == "in doubt for 89 s"
    still = draw([*DIRECT[:3], lost], width=WIDE, now=AT + 5 * MINUTE).bars[-1]
    assert still.says == "in doubt, and it is not over" and still.end > still.x


def test_a_late_answer_ends_a_doubt():
    lost = at(Lost(token=ME, error="reset"), 100)
    sends, doubt = draw([*DIRECT[:3], lost, answered(5_000), at(Delivered(), 9_000)], width=WIDE).bars
    assert sends.says == "with the system for 100 ms" and doubt.says == "in doubt for 4 s"


def test_what_waits_reaches_to_now():
    story = APPROVED[:4]
    drawing = draw(story, width=WIDE, now=AT + 30 * MINUTE)
    [waits] = drawing.bars
    assert waits.end > mark(drawing, 4).x and [cut.says for cut in drawing.cuts] == ["29 min"]
    assert drawing.ticks[-1].label == "+30 min"
    assert [bar.end for bar in draw([*story, at(Expired(), 60 * MINUTE)], width=WIDE).bars] == [
        mark(draw([*story, at(Expired(), 60 * MINUTE)], width=WIDE), 5).x
    ]


def test_the_thread_visits_the_facts_in_their_order():
    drawing = draw(APPROVED, width=WIDE)
    assert drawing.thread == tuple((mark(drawing, n).x, mark(drawing, n).y) for n in range(1, 10))


def test_a_clock_that_was_set_back_draws_no_loop():
    drawing = draw([at(Admitted(call=CALL), 1000), at(ALLOW, 0), claimed(500), answered(1500)], width=WIDE)
    assert [x for x, _ in drawing.thread] == sorted(x for x, _ in drawing.thread)


def test_it_is_said_in_words():
    says = draw(APPROVED, width=WIDE).says
    assert says.startswith("9 facts in lanes for the agent, the policies, the people and the system, from 2026-11-")
    assert "over 42 min. Cut short where nothing happened for long: 41 min." in says
    assert draw(DIRECT[:1], width=WIDE).says.startswith("1 fact in lanes")


def inside(drawing):
    """Nothing is outside of the picture, and nothing lies on anything else."""
    assert all(mark.x - 4 >= 0 and mark.x + 4 <= drawing.width for mark in drawing.marks)
    assert all(drawing.left <= bar.x <= bar.end <= drawing.width for bar in drawing.bars)
    assert all(0 < mark.y < drawing.height for mark in drawing.marks)
    for mark in drawing.marks:
        row = next(row for row in drawing.rows if row.name == mark.lane)
        assert row.top < mark.y < row.top + row.height
    by_track: dict[float, list[Any]] = {}
    for mark in drawing.marks:
        by_track.setdefault(mark.y, []).append(mark)
    for marks in by_track.values():
        assert all(b.x - a.x >= 15 for a, b in pairwise(marks))
    assert all(room(a)[1] <= room(b)[0] for a, b in pairwise(drawing.ticks))
    assert all(b.middle - a.middle >= 44 for a, b in pairwise(drawing.cuts))
    return True


def room(tick):
    at = {"start": (0, LABEL + 24), "middle": (-LABEL / 2, LABEL / 2), "end": (-LABEL, 0)}[tick.anchor]
    return tick.x + at[0], tick.x + at[1]


@BOTH
def test_a_thousand_facts_stay_within_the_picture(width):
    notified = Notified(notice="n", attempt=1, status=200, done=True)
    story = [*DIRECT[:2], *(at(notified, number * number * 7) for number in range(1000))]
    drawing = draw(story, width=width)
    assert inside(drawing) and drawing.height < 450
    assert len(drawing.marks) < TRACKS * len(LANES) * width / 16
    assert sorted(number for mark in drawing.marks for number in mark.numbers) == list(range(1, 1003))


@given(
    st.lists(st.tuples(st.sampled_from(EXAMPLES), st.integers(0, 30 * 24 * 60 * MINUTE)), max_size=60),
    st.sampled_from([WIDE, NARROW]), st.integers(0, 10**9),
)  # fmt: skip
def test_whatever_happens_every_fact_is_drawn_once_inside(told, width, waited):
    story = [at(Admitted(call=CALL), 0), *(at(fact, time) for fact, time in told)]
    drawing = draw(story, width=width, now=AT + waited)
    assert inside(drawing)
    assert sorted(number for mark in drawing.marks for number in mark.numbers) == list(range(1, len(story) + 1))
    assert all(a.end <= b.x for a, b in pairwise(drawing.cuts))
