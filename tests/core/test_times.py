"""Times as people and other programs read them."""

import pytest

from gateway.core.times import iso, moment, since, span


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_168_800_999, "2026-11-20T10:00:00Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00Z"),
    ],
)
def test_a_moment_is_in_utc_to_the_second(milliseconds, expected):
    assert iso(milliseconds) == expected


@pytest.mark.parametrize("milliseconds", [-1, 253_402_300_800_000, 2**63 - 1])
def test_what_is_no_time_of_a_journal_is_a_number(milliseconds):
    """Whoever reads a forged record must see what is in it, and not fail."""
    assert iso(milliseconds) == moment(milliseconds) == f"{milliseconds} ms since 1970"
    assert iso(253_402_300_799_999) == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_999, "119 s"), (120_000, "2 min"), (7_199_999, "119 min"),
        (7_200_000, "2 h"), (86_400_000, "24 h"), (172_799_999, "47 h"),
        (172_800_000, "2 days"), (34_560_000_000, "400 days"),
    ],
)  # fmt: skip
def test_a_duration_is_in_a_unit_that_people_would_choose_and_never_too_long(milliseconds, expected):
    assert span(milliseconds) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_168_800_058, "2026-11-20T10:00:00.058Z"),
        (1_795_168_800_999, "2026-11-20T10:00:00.999Z"),
        (1_795_168_801_000, "2026-11-20T10:00:01.000Z"),
    ],
)
def test_a_moment_can_be_told_to_the_millisecond(milliseconds, expected):
    assert moment(milliseconds) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0, "+0.000 s"), (2431, "+2.431 s"), (59_999, "+59.999 s"), (180_400, "+3 min")],
)
def test_how_long_after_the_beginning_is_to_the_millisecond_within_a_minute(milliseconds, expected):
    assert since(milliseconds) == expected
