from gateway.wire.base import Base


def test_systems_are_prefixes_or_own_a_host():
    shared, own = Base("http://gw"), Base("http://stripe.internal", "stripe")
    assert (shared.prefix("stripe"), own.prefix("stripe")) == ("/stripe", "")
    assert shared.reaches("github") and own.reaches("stripe") and not own.reaches("github")
