"""Failed sign-ins: a few at once, then one every few seconds, per address."""

from gateway.console.attempts import AGAIN_SECONDS, FAILURES, MOST_ADDRESSES, Attempts


def test_ten_at_once_then_one_every_six_seconds():
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    for _ in range(FAILURES):
        assert attempts.wait("a") == 0
        attempts.failed("a")
    assert attempts.wait("a") == AGAIN_SECONDS and attempts.wait("b") == 0
    now[0] = AGAIN_SECONDS - 1
    assert attempts.wait("a") >= 1
    now[0] = AGAIN_SECONDS
    assert attempts.wait("a") == 0
    attempts.failed("a")
    assert attempts.wait("a") > 0
    now[0] += AGAIN_SECONDS * (FAILURES + 1)
    assert attempts.wait("a") == 0


def test_addresses_are_forgotten_oldest_first():
    attempts = Attempts(clock=lambda: 0.0)
    for _ in range(FAILURES):
        attempts.failed("first")
    for number in range(MOST_ADDRESSES):
        attempts.failed(str(number))
    assert attempts.wait("first") == 0
