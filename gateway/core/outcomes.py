"""What became of a call, for the people who were asked about it: done, failed, in doubt and with whom. Pure.

Of the system's answer it tells the status and the id that the system gave, and nothing else: whoever may approve a
payment need not see everything that the bank says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway.core.facts import (
    Answered,
    Cancelled,
    Expired,
    Judged,
    Lost,
    Rejected,
    Resolved,
    Unsent,
    Withdrawn,
)
from gateway.core.lifecycle import Finish, Outcome, next_step
from gateway.core.payload import unpack_answer
from gateway.core.record import Record
from gateway.core.routes import Routes

IDS = ("id", "number", "key", "name")
"""Members of an answer that systems call a thing by, most telling first."""
LONGEST_ID = 100

Tone = Literal["waiting", "approved", "going", "good", "bad", "doubt", "over"]


@dataclass(frozen=True, slots=True)
class Became:
    tone: Tone
    head: str
    """One or two words."""
    text: str
    """A sentence or two."""


def outcome(record: Record) -> Outcome | None:
    """How the call ended, if it has."""
    today = record.judged.generation if record.judged else ""
    step = next_step(record, now=0, me="", today=today)
    return step.outcome if isinstance(step, Finish) else None


def final_at(record: Record) -> int:
    """When no yes can be taken back any more; 0 if none ever could."""
    return max((vote.at + vote.undo for vote in record.votes if vote.undo), default=0)


def became(record: Record, payload: Mapping[str, bytes], routes: Routes, *, now: int) -> Became:
    over = outcome(record)
    if over is not None:
        return _over(record, over, payload, routes)
    if record.expires_at is not None and now >= record.expires_at and record.claim is None and not record.doubts:
        return Became("over", "Expired", "Nobody decided in time. It is not carried out.")
    if record.claim is not None or record.doubts:
        return Became("going", "Being carried out", f"It was approved and is on its way to {record.call.system}.")
    if record.judged is None or record.judged.verdict.decision != "hold":
        return Became("going", "Being weighed", "The policies weigh it again, with the votes so far.")
    if not any(record.judged.lacking) and now < final_at(record):
        text = "It is carried out when this time is over; until then it can be taken back or rejected."
        return Became("approved", "Approved", text)
    return Became("waiting", "Waiting", "Nothing happens before it is decided.")


def _over(record: Record, over: Outcome, payload: Mapping[str, bytes], routes: Routes) -> Became:
    system = record.call.system
    match over:
        case Answered(status=status):
            given = _id_in(payload)
            named = f" Its id there: {given}." if given else ""
            if status < 400:
                return Became("good", "Done", f"{system} answered {status}.{named}")
            return Became("bad", "Failed", f"{system} refused it: it answered {status}.{named}")
        case Judged(verdict=verdict):
            why = " ".join(verdict.reasons) or "The policies of today do not allow it."
            return Became("bad", "Denied", f"It is not carried out. {why}")
        case Rejected() | Expired() | Withdrawn() | Cancelled():
            return _refused(over)
        case Unsent(error=error):
            return Became("bad", "Not sent", f"{system} could not be reached, so nothing happened there ({error}).")
        case Lost(error=error):
            return _lost(record, error, routes)
        case Resolved(by=by, acted=acted, note=note):
            text = (
                f"{by} looked: it {'took effect' if acted else 'did not take effect'}{f' (“{note}”)' if note else ''}."
            )
            return Became("good" if acted else "over", "Settled", text)


def _refused(over: Rejected | Expired | Withdrawn | Cancelled) -> Became:
    said = f": “{over.reason}”" if isinstance(over, Rejected | Cancelled) and over.reason else "."
    match over:
        case Rejected(by=by):
            return Became("over", "Rejected", f"{by} said no{said} It is not carried out.")
        case Cancelled(by=by):
            return Became("over", "Cancelled", f"{by} cancelled it{said} It is not carried out.")
        case Expired():
            return Became("over", "Expired", "Nobody decided in time. It is not carried out.")
        case Withdrawn():
            return Became("over", "Withdrawn", "The agent took it back. It is not carried out.")


def _lost(record: Record, error: str, routes: Routes) -> Became:
    system = record.call.system
    if not record.call.acts:
        return Became("bad", "Failed", f"{system} did not answer ({error}). A read changes nothing.")
    found = routes.systems.get(system)
    owner = found.owner if found else "the operators"
    return Became(
        "doubt", "In doubt",
        f"It was sent to {system}, and nobody knows whether it took effect ({error}). It is never sent again by "
        f"itself. It is with {owner}, who owns {system} and has to look there.",
    )  # fmt: skip


def _id_in(payload: Mapping[str, bytes]) -> str:
    """What the system calls the thing that it made, if its answer is JSON and was kept."""
    data = payload.get("answer")
    if not data:
        return ""
    try:
        told: Any = orjson.loads(unpack_answer(data).body)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    found = next((told[name] for name in IDS if isinstance(told.get(name), str | int)), "")
    return str(found) if len(str(found)) <= LONGEST_ID else ""
