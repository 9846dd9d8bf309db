"""What is compiled from routes once."""

import pytest

from gateway.errors import UnknownTool
from gateway.wire.index import authorities
from tests.wire.wire_cases import INDEX


@pytest.mark.parametrize(
    ("origin", "names"),
    [
        ("https://api.stripe.com", {"api.stripe.com", "api.stripe.com:443"}),
        ("http://erp", {"erp", "erp:80"}),
        ("https://erp:443", {"erp", "erp:443"}),
        ("https://erp:8443", {"erp:8443"}),
        ("http://[::1]:9000", {"[::1]:9000"}),
        ("http://[::1]", {"[::1]", "[::1]:80"}),
        ("https://API.Example", {"api.example", "api.example:443"}),
    ],
)
def test_how_an_origin_may_be_written(origin, names):
    assert authorities(origin) == names


def test_tools_are_found_by_system_method_and_path():
    found, variables = INDEX.match("stripe", "GET", "/v1/charges/ch_1")
    assert (found.name, variables) == ("stripe.get_charge", {"charge": "ch_1"})
    assert INDEX.reader(found).tool is found


def test_a_system_that_is_gone_has_no_tools():
    with pytest.raises(UnknownTool):
        INDEX.match("paypal", "GET", "/v1/charges")


def test_agents_by_name():
    agent = INDEX.agent("bot")
    assert agent is not None and agent.name == "bot"
    assert INDEX.agent("nobody") is None
