"""`gateway demo`: one story, told by real processes, that ends by itself and fails if any sentence of it is untrue.

On stage are the gateway (supervisor, workers, steward and its private Valkey, exactly as `gateway serve` starts
them), a real system of record (localstripe, a process of its own), an approver's service, and a trace collector.
The agent is the official `stripe` SDK, unmodified: it is given a base URL and a gateway key, and nothing else.

Two rules keep the transcript honest:

* A line with a check mark is printed after the check, never before. What the check looks at is the other side of
  the gateway wherever there is one: refunds are counted at localstripe, under localstripe's own key, past the gateway.
* The approver and the collector share no code with the gateway. They are what a customer would write from the
  Standard Webhooks and OTLP specifications, so a gateway that agrees only with itself fails here.

    stage.py       starts and ends the processes          listener.py    an HTTP server in a thread
    story.py       the chapters, in order                 approver.py    verifies notices, signs decisions
    proof.py       the last one: the record               collector.py   decodes exported spans
    record.py      what localstripe says it did           transcript.py  how it looks
"""

import signal
import sys
from contextlib import ExitStack
from types import FrameType

from gateway.demo.transcript import Transcript

MISSING = "The demo needs the packages stripe and localstripe: pip install 'policy-gateway[demo]' (or run `make demo`)."


class Broken(Exception):
    """A step did not do what the transcript was about to say. The message is the sentence that turned out untrue."""


def run(*, page: bool = False) -> int:
    """Play the story. 0 only if all of it was true. With `page`, whoever watches decides one call in a browser."""
    transcript = Transcript()
    signal.signal(signal.SIGTERM, _leave)
    try:
        _play(transcript, page=page)
    except Broken as broken:
        transcript.bad(str(broken))
        return 1
    except KeyboardInterrupt:
        transcript.bad("Interrupted. Everything that the demo started has been ended.")
        return 130
    return 0


def _play(transcript: Transcript, *, page: bool) -> None:
    try:
        from gateway.demo import proof, stage, story  # noqa: PLC0415 - so that a missing extra is one sentence
    except ModuleNotFoundError as missing:
        raise Broken(f"{MISSING} ({missing.name} is not installed)") from missing
    with ExitStack() as stack:
        scene = stage.build(stack, transcript, page=page)
        proof.tell(scene, transcript, story.tell(scene, transcript))
    transcript.end("Everything above was checked as it was printed, and everything that was started has ended.")


def _leave(signum: int, _frame: FrameType | None) -> None:
    """Unwind instead of dying on the spot, so that no process of ours outlives us."""
    sys.exit(128 + signum)
