"""The life of one call. This file tells the whole story; nothing that affects the order of events lives elsewhere.

    Admitted ─► Judged ─► Claimed ─► Answered            an effect
                  │ ▲        │
             hold ▼ │ vote   ├─► Unsent                   provably nothing happened
                 Asked       └─► Lost                     nobody knows: in doubt, until settled

A call is a list of facts, which `core.record` folds into a `Record`; `next_step` says what the record needs next.
Neither does I/O, reads a clock or remembers anything, so there is no code for resuming a held call or recovering
a crashed one: load the facts, ask `next_step`, carry on. docs/lifecycle.md is generated from this file.

Rules of this file:
 1. An allow is good only in the append that uses it. `recall` forgets one that stands alone.
 2. Once a send may have acted, nothing is ever reported as a refusal or as unreachable.
 3. Only the drive that wrote a claim sends under it; everybody else waits until the claim is over, then says Lost.
 4. Nothing but a repeatable call is sent twice, and it only under the same fingerprint.
 5. What people bound their yes to is looked at again in every append that claims; what cannot be seen is not sent, and
    what changed is not sent again: it may be the effect of the send before.
"""

from dataclasses import dataclass

from gateway.core.call import Call
from gateway.core.expected import still_wanted, unheard_of
from gateway.core.facts import (
    Answered,
    Cancelled,
    Claimed,
    Expired,
    Judged,
    Lost,
    Rejected,
    Resolved,
    Rung,
    Unsent,
    Withdrawn,
)
from gateway.core.looking import BLIND
from gateway.core.record import Record
from gateway.core.verdict import Requirement

MOST_SENDS = 3
"""Of a repeatable call. A system that loses three in a row is down; more would only hide it."""
BACKOFF_MS = (0, 500, 2000)
"""Before each send: long enough for a restart behind a load balancer, short enough for a waiting agent."""
GATEWAY_STATUSES = frozenset({408, 502, 503, 504, *range(520, 525)})
"""Statuses that come from between us and the system: for an effect they prove nothing."""
REFUSED_RESEND = frozenset({409, 429})
"""To a re-send these may mean that the first one is still running."""

Outcome = Answered | Judged | Rejected | Expired | Withdrawn | Cancelled | Unsent | Lost | Resolved
"""The fact by which a call ended: answered; denied (Judged, Rejected, Expired, Withdrawn, Cancelled); unreachable
(Unsent, or Lost for a read, which has no effect to be in doubt about); in doubt (Lost); settled by a person
(Resolved)."""


# Steps. Imperative mood: what somebody with hands must do next.


@dataclass(frozen=True, slots=True)
class Judge:
    """Ask today's policies."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Put these questions to people."""

    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Climb:
    """Nobody has decided by now: remind them, or turn to somebody else."""

    rung: Rung


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the system for those who were asked, or again before what they approved is sent."""

    names: tuple[str, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Expire:
    """Nobody decided in time."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the right to send once."""


@dataclass(frozen=True, slots=True)
class Send:
    """Perform the effect, or fetch what a read asks for."""


@dataclass(frozen=True, slots=True)
class Forfeit:
    """The drive that held the claim is gone, so what it did is unknown: write that down."""

    token: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before this time, unless somebody else writes a fact."""

    until: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The call is over, or open only for a person to settle."""

    outcome: Outcome


Step = Judge | Ask | Look | Climb | Expire | Claim | Send | Forfeit | Wait | Finish


def next_step(record: Record, *, now: int, me: str, today: str) -> Step:  # noqa: C901, PLR0911 - a turn a line
    """Say what `record` needs next. Read it downward: this is the whole gateway.

    `now` is the journal's time, `me` the token of this drive, `today` the generation that serves now.
    """
    if record.answer is not None:
        return Finish(record.answer)
    if record.resolved is not None:
        return Finish(record.resolved)
    if record.claim is not None:
        return _while_claimed(record.claim, now, me)
    if record.doubts and record.lost is not None:
        return _in_doubt(record, record.lost, now)
    if record.unsent is not None:
        return Finish(record.unsent)
    if record.lost is not None:
        return Finish(record.lost)
    if record.refusal is not None:
        return Finish(record.refusal)
    judged = record.judged
    if judged is not None and judged.verdict.decision == "deny":
        return Finish(judged)
    if record.expires_at is not None and now >= record.expires_at:
        return Expire()  # also of what was approved, but not carried out before the time was over
    if judged is None:
        return Judge()
    if judged.verdict.decision == "hold":
        return _while_held(record, judged, record.expires_at, now, today)
    if record.sight is not BLIND and (names := record.sight.unconfirmed(judged)):
        return Look(names, again=True)
    # An approval is good for one send, so a read that people were asked about is claimed as an effect is.
    return Claim() if record.call.acts or record.asked else Send()


def _while_claimed(claim: Claimed, now: int, me: str) -> Step:
    if claim.token == me:
        return Send()
    over = claim.at + claim.lease
    return Wait(over) if now < over else Forfeit(claim.token)


def _in_doubt(record: Record, lost: Lost, now: int) -> Step:
    """A send may have acted. Only a repeatable call may try again, and only as exactly the same call."""
    first, judged = record.first, record.judged
    if first is None or not record.call.repeatable or record.refusal is not None:
        return Finish(lost)
    unread = record.sight.unread  # since it was lost: each time that it could not be looked at counts as a try
    tries, last = len(record.tokens) + len(unread), max((lost.at, *unread))
    if tries >= MOST_SENDS or now >= first.at + record.call.keeps_ms // 2:
        return Finish(lost)
    if now < last + BACKOFF_MS[tries]:
        return Wait(last + BACKOFF_MS[tries])
    if judged is None:
        return Judge()
    if judged.verdict.decision != "allow" or judged.fingerprint != first.fingerprint:
        return Finish(lost)
    if record.sight is not BLIND and (names := record.sight.unconfirmed(judged)):
        return Look(names, again=True)
    return Claim()


def _while_held(record: Record, judged: Judged, expires_at: int | None, now: int, today: str) -> Step:
    if judged.generation != today:
        return Judge()
    asked = record.asked if record.asked_fingerprint == judged.fingerprint else ()
    if not record.sight.unread and (unheard := unheard_of(judged, asked, record.expected)):
        return Ask(unheard)  # with what could not be seen again, nobody is missing
    if record.sight.unseen:
        return Look(record.sight.unseen)
    assert expires_at is not None, "asking fixes the time at which a hold ends"
    since = judged.weighed or judged.at
    final = [at for vote in record.votes if vote.undo and (at := vote.at + vote.undo) > since]
    if final and min(final) <= now:
        return Judge()  # a yes can no longer be taken back, so now it counts
    if record.sight.unread:
        retry = record.sight.retry_at
        return Wait(min(retry, expires_at)) if now < retry else Judge()
    waiting = still_wanted(judged)
    due, rung = next((found for found in record.ladder if found[1].group in waiting), (expires_at, None))
    if rung is not None and due <= now:
        return Climb(rung)
    return Wait(min(due, expires_at, *final))


def proves_nothing(call: Call, status: int, *, resent: bool) -> bool:
    """True if an effect answered with `status` may or may not have happened."""
    doubtful = status in GATEWAY_STATUSES or status in call.doubtful
    # A system that refuses a re-send (429, 401) says nothing about the send before it.
    refused = resent and (status in REFUSED_RESEND or status in call.not_acted)
    return call.acts and (doubtful or refused)
