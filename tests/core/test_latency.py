"""Histograms that are counted in processes and added up elsewhere: nothing is lost, nothing is counted twice."""

import pytest

from gateway.core.latency import BOUNDS, Latency, Spread


def test_each_duration_is_in_the_group_of_the_next_limit():
    latency = Latency()
    for seconds in (0.00001, 0.00005, 0.00006, 2.9, 3.1):
        latency.add(seconds)
    assert latency.take("x") == {"x:50": 2, "x:100": 1, "x:3000000": 1, "x:more": 1, "x:microseconds": 6000120}


def test_what_was_taken_is_not_taken_again():
    latency = Latency()
    assert latency.take("x") == {}
    latency.add(0.2)
    assert latency.take("x") == {"x:250000": 1, "x:microseconds": 200000}
    assert latency.take("x") == {}


def test_sums_of_what_was_taken_are_read_back_and_other_names_are_not():
    latency, sums = Latency(), {"y:50": 9, "x:77": 3}
    for seconds in (0.2, 0.00001, 7.0):
        latency.add(seconds)
        for name, amount in latency.take("x").items():
            sums[name] = sums.get(name, 0) + amount
    spread = Spread.read("x", sums)
    assert sum(spread.counts) == 3 and spread.counts[0] == spread.counts[BOUNDS.index(0.25)] == spread.counts[-1] == 1
    assert spread.seconds == pytest.approx(7.20001)
    assert Spread.read("z", sums) == Spread()
