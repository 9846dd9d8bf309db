"""Logging that can never stop an effect: records go to a thread, and are dropped while its reader is stuck.

A terminal that scrolls back, a paused `docker logs`, a full pipe: each stops whoever writes to it for as long as it
likes. That must never be the loop that sends, which could then act under a claim that ran out meanwhile.
"""

import logging
import sys
import time
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue

LINES_KEPT = 10_000
"""While the reader pauses; later ones are lost."""
LAST_SECONDS = 1.0
"""What a process that ends gives its last lines to get out."""
CHATTY = ("httpx", "uvicorn", "watchfiles")

Lines = Queue[logging.LogRecord]


class _Aside(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(Full):
            self.queue.put_nowait(record)


class _InUtc(logging.Formatter):
    """Times as the journal and the control plane write them, to the millisecond."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def log_aside(level: str, form: str) -> Lines:
    """Log to standard error from a thread of its own. The lines that are on their way are returned."""
    lines: Lines = Queue(LINES_KEPT)
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(_InUtc(form))
    logging.basicConfig(level=level.upper(), handlers=[_Aside(lines)], format="%(message)s")
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    QueueListener(lines, stream).start()
    return lines


def told(lines: Lines) -> None:
    """Return when all lines are out, or after LAST_SECONDS."""
    end = time.monotonic() + LAST_SECONDS
    while not lines.empty() and time.monotonic() < end:
        time.sleep(0.01)
