"""What is still owed once a call is over: its answer to whoever asked for it, and the news to those who were asked.

While something is, what the call was about has to be at hand. Once nothing is, the bytes of a request that people were
asked about have served, and are destroyed; what the facts say of them, and their digests, stay. It must never say so of
a call that may still act, or that is in doubt.
"""

from collections.abc import Mapping

from gateway.core.facts import Lost
from gateway.core.lifecycle import Finish, next_step
from gateway.core.record import Record

WORKING: Mapping[str, bytes] = {"request": b"", "original": b"", "preview": b""}
"""Fields of a payload that only an open question needs, with the value that destroys them: what would be sent, what the
agent had written before somebody edited it, and what was shown of the system."""


def owed(record: Record) -> bool:
    """True if whether this answer was delivered decides what an identical request means."""
    over = record.answer is not None or (record.resolved is not None and record.resolved.acted)
    return over and (record.polled or not record.delivered) and bool(record.asked or record.abandoned or record.lost)


def served(record: Record) -> bool:
    """True if people were asked about the call, it is over, and nothing more is owed to anybody."""
    if record.expires_at is None or owed(record):
        return False
    today = record.judged.generation if record.judged is not None else ""
    step = next_step(record, now=0, me="", today=today)
    if not isinstance(step, Finish) or (isinstance(step.outcome, Lost) and record.call.acts):
        return False
    settled = {heard.notice for heard in record.heard if heard.done or heard.last}
    return all(notice.id in settled for notice in record.notices if notice.kind.startswith("call."))
