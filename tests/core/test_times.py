"""Times as people and other programs read them."""

import pytest

from gateway.core.times import iso, span


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


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_999, "119 s"), (120_000, "2 min"), (7_199_999, "119 min"),
        (7_200_000, "2 h"), (86_400_000, "24 h"),
    ],
)  # fmt: skip
def test_a_duration_is_in_a_unit_that_people_would_choose_and_never_too_long(milliseconds, expected):
    assert span(milliseconds) == expected
