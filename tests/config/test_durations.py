"""A duration has a unit, always, and so have a rate and a size."""

import pytest

from gateway.config.durations import positive_seconds, quota, seconds, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("15m", 900),
        ("1h", 3600),
        ("24h", 86400),
        ("7d", 604800),
        ("0s", 0),
        ("3650d", 315360000),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        30,
        0,
        1.5,
        None,
        True,
        "",
        "30",
        "s",
        "1.5h",
        "1h30m",
        "-5s",
        "+5s",
        "5 s",
        "5S",
        "5w",
        "1e3s",
        "٣s",
        "9" * 400 + "d",
        "3651d",
    ],
)
def test_anything_else_says_what_a_duration_is(value):
    with pytest.raises(ValueError, match="must be"):
        seconds(value)


def test_zero_is_a_wait_but_not_a_time_limit():
    with pytest.raises(ValueError, match="longer than zero"):
        positive_seconds("0ms")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("20/h", (20, 3600.0)), ("5/m", (5, 60.0)), ("100/d", (100, 86400.0)), ("off", None), (False, None)],
)
def test_a_rate_is_how_many_in_which_time(value, expected):
    assert quota(value) == expected


@pytest.mark.parametrize(
    "value", [20, "20", "0/h", "20/s", "20 / h", "20/2h", "-1/h", "1.5/h", "on", True, None, "", "٣/h"]
)
def test_anything_else_says_what_a_rate_is(value):
    with pytest.raises(ValueError, match="such as 5/m, 20/h or 100/d; or off"):
        quota(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("64KiB", 65_536), ("1MiB", 1_048_576), ("1GiB", 2**30), ("999999GiB", 999_999 * 2**30), ("off", None)],
)
def test_a_size_is_a_whole_number_and_a_unit(value, expected):
    assert size(value) == expected


@pytest.mark.parametrize(
    "value", [64, "64", "0MiB", "64MB", "64 MiB", "1.5GiB", "-1MiB", "9" * 7 + "KiB", "on", True, None]
)
def test_anything_else_says_what_a_size_is(value):
    with pytest.raises(ValueError, match="must be a size"):
        size(value)
