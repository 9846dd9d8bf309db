"""How long something took, for whoever must not act after a time is over.

CLOCK_MONOTONIC stands still while Linux sleeps, so a claim that ran out hours ago would look young when a laptop or a
virtual machine wakes up; and the event loop's clock is read once per turn. It must never go backwards.
"""

import time

_COUNTS_SLEEP: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On macOS, which has no CLOCK_BOOTTIME, CLOCK_MONOTONIC counts sleep."""


def uptime() -> float:
    """Seconds since the machine started, those in which it slept included."""
    return time.clock_gettime(_COUNTS_SLEEP)
