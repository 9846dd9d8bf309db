"""One agent cannot take everything."""

import pytest

from gateway import errors
from gateway.doors.rate import Rate


def test_only_so_many_at_once_and_each_agent_for_itself():
    rate = Rate(0, 2)
    rate.enter("a")
    rate.enter("a")
    with pytest.raises(errors.TooMany, match="GATEWAY_CONCURRENCY_LIMIT"):
        rate.enter("a")
    rate.enter("b")
    rate.leave("a")
    rate.enter("a")


def test_a_refused_request_is_not_under_way():
    rate = Rate(1, 2)
    rate.enter("a")
    with pytest.raises(errors.TooMany, match="GATEWAY_RATE_LIMIT"):
        rate.enter("a")
    rate.leave("a")


@pytest.mark.parametrize("per_second", [0.1, 1, 50])
def test_a_second_of_calls_but_at_least_one_may_come_at_once(per_second):
    rate = Rate(per_second, 1000)
    for _ in range(max(1, int(per_second))):
        rate.enter("a")
    with pytest.raises(errors.TooMany):
        rate.enter("a")
