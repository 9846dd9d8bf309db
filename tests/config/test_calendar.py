"""Working hours and absences as people write them."""

import pytest

from gateway.config.calendar import days, minutes, moment, time_zone


@pytest.mark.parametrize(
    ("written", "found"),
    [("9:00", 540), ("09:05", 545), ("17:30", 1050), ("0:00", 0), ("24:00", 1440), ("23:59", 1439)],
)
def test_times_of_day(written, found):
    assert minutes(written) == found


@pytest.mark.parametrize("written", ["9", "25:00", "9:60", "24:01", "9am", 540, None, "", " 9:00"])
def test_what_is_no_time_of_day(written):
    with pytest.raises(ValueError, match="time of day"):
        minutes(written)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (["mon-fri"], (0, 1, 2, 3, 4)),
        (["mon", "wed"], (0, 2)),
        ("Tue", (1,)),
        (["fri-mon"], (0, 4, 5, 6)),
        (["sat", "mon-tue", "sat"], (0, 1, 5)),
    ],
)
def test_days(written, found):
    assert days(written) == found


@pytest.mark.parametrize("written", [[], ["monday"], ["mon-"], ["mon-xyz"], [1], ["mon-fri-sun"], None])
def test_what_are_no_days(written):
    with pytest.raises(ValueError, match="day"):
        days(written)


def test_time_zones():
    assert time_zone("Europe/Vienna") == "Europe/Vienna"
    for written in ("Vienna", "../etc/passwd", "", 1, "/etc/localtime"):
        with pytest.raises(ValueError, match="time zone"):
            time_zone(written)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("2026-12-01", 1_796_083_200_000),
        ("2026-12-01T01:00+01:00", 1_796_083_200_000),
        ("2026-12-01T00:00:00Z", 1_796_083_200_000),
        ("2026-12-01T00:00", 1_796_083_200_000),
    ],
)
def test_moments(written, found):
    assert moment(written) == found


@pytest.mark.parametrize("written", ["tomorrow", "2026-13-01", 20261301, None, ""])
def test_what_is_no_moment(written):
    with pytest.raises(ValueError, match="date"):
        moment(written)
