"""A clock that goes on while the machine sleeps."""

import time

import pytest

from gateway.clock import uptime


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock of its own for this")
def test_it_is_the_clock_that_counts_sleep(monkeypatch):
    slept_for_an_hour = {time.CLOCK_BOOTTIME: 3700.0, time.CLOCK_MONOTONIC: 100.0}
    monkeypatch.setattr(time, "clock_gettime", slept_for_an_hour.__getitem__)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    assert uptime() == 3700.0


def test_it_never_goes_backwards():
    looks = [uptime() for _ in range(1000)]
    assert looks == sorted(looks)
