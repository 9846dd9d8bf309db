"""What an agent got, or did not get, decides whether an identical request later is another call.

So it is said once the last byte of an answer was given to the connection, and never before: should this process die in
between, whoever asks again finds the call. For most calls nothing is written; the call only ceases to be met, and
nobody waits for that. It must never be said of an outcome that is in doubt.
"""

from gateway.core.facts import Delivered
from gateway.core.owed import owed
from gateway.engine import Engine
from gateway.life import Life
from gateway.tasks import spawn


def handed_over(engine: Engine, life: Life, *, polled: bool = False) -> None:
    """The answer of this call was handed to its requester, if that was still there. `polled`: at /calls/{id}."""
    record = life.record
    call = record.call
    if not call.acts and not record.asked:
        return
    if life.requester.left:
        if not polled:
            engine.abandon(call.id)
    elif owed(record):
        spawn(engine.note(call.id, Delivered(polled=polled)), "delivered")
    elif record.keys and not polled:
        engine.journal.leave(call.id, call.match)
