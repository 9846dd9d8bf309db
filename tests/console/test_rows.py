"""One call as a line of a list."""

import pytest

from gateway.console.rows import TONES, row
from gateway.console.searching import STATES
from tests.console.test_drawing import APPROVED, DIRECT


def test_a_line_says_who_what_when_and_how_it_stands():
    found = row(APPROVED[:3], unsealed=True)
    assert (found.agent, found.tool, found.resource) == ("billing-bot", "stripe.create_refund", "Charge/ch_1")
    assert (found.state, found.tone, found.facts, found.unsealed) == ("held", "waiting", 3, True)
    assert (found.begun, found.changed) == (APPROVED[0].at, APPROVED[2].at)
    assert found.last == "finance was asked (1 notice); open for 60 min"
    approved = row(APPROVED)
    assert (approved.policies, approved.people) == (("over-50",), ("ann",))
    assert (row(DIRECT).state, row(DIRECT).tone) == ("answered", "good")


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_look(state):
    assert state in TONES
