"""Which keys must lead to a call, for how long, and when somebody must look at it again.

What makes two requests one call are pointers, tested and set in the same step as the facts (design section 5).
This file says, for any record, what they must be; adapters only make it so. It must never need to know which
transition just happened: the record alone decides, so a crashed writer's successor arrives at the same pointers.
"""

from typing import Literal

from gateway.core.facts import Answered, Cancelled, Expired, Judged, Lost, Rejected, Resolved, Unsent, Withdrawn
from gateway.core.lifecycle import Finish, Look, Outcome, Step, Wait, next_step
from gateway.core.record import Record
from gateway.core.value import positional_value

REFUSED_MS = 3_600_000
"""For an hour after a person or time said no, an identical request hears the same no instead of asking again."""
OWED_MS = 24 * 3_600_000
"""How long an answer that nobody has received yet attracts identical requests."""
POLLED_MS = 300_000
"""The same once an agent has seen it at /calls/{id}: it may run its SDK's line again, under a new key, to get it."""
RECALL_MS = 24 * 3_600_000
"""How long an ended call can be shown beyond the time that its keys last, so that no key leads to nothing."""
HANDOVER_MS = 1_000
"""An approved call is driven on by the process that recorded the vote; after this, by the steward."""
LOOKING_MS = 10_000
"""Whoever asks people looks at the system for them; after this the steward does."""
EXECUTING_MS = 24 * 3_600_000
"""How long a call that was sent is met if nobody ever says that it is over: longer than any claim lasts."""
REMINDER_MS = 3_600_000
"""A call in doubt stays on the steward's list; it looks, and says so in the log, once an hour."""
ALL = "all"
"""The name of the one `held` pointer of a partition."""


@positional_value
class Pointer:
    """The desired state of one pointer."""

    name: str
    kind: Literal["key", "open", "executing", "grant", "questions", "held", "stored"]
    """`key`: an idempotency key. `open`: a match digest whose requests attach. `executing`: a match digest, and all the
    calls that were sent for it and whose answer nobody was seen to get; usually one. `grant`: a standing grant, there
    while it may be used. `questions`: an agent, and the calls that it had people asked about lately. `held`: all calls
    of the partition that wait for people, in the order in which their time is over, so that a page of them is found
    among any number. `stored`: an agent, and how many bytes are kept for it."""
    mode: Literal[
        "take", "test", "hold", "free", "join", "look", "stay", "leave", "need", "count", "wait", "over", "store"
    ]
    """`take`: must be free or ours, then ours. `test`: must be free or ours, not changed.
    `hold`: ours unless another call has it. `free`: no longer ours.
    `join`: one of those that are executing; there must be none beside it but those named in the append's `beside`.
    `look`: as `join`, without being one. `stay`: one of them, whoever else is. `leave`: no longer one of them.
    `need`: must be there; not changed. `count`: one more of at most `most` within `ttl`.
    `wait`: one of those that are held; its time is over after `ttl`, unless it is one already: that time is fixed when
    people are asked. `over`: no longer one of them.
    `store`: with the payload that this append brings, at most `most` bytes, unless that is 0 or it brings none."""
    ttl: int | None = None
    """Milliseconds it lasts from now; None: until changed. What several calls share lasts as long as the longest."""
    most: int = 0


@positional_value
class Upkeep:
    """Everything beside the facts that an append must bring about."""

    pointers: tuple[Pointer, ...] = ()
    due_in: int | None = None
    """Milliseconds until somebody must look at this call; None: never again."""
    expire_in: int | None = None
    """Milliseconds after which facts and payload of this call may leave the call store (never the ledger)."""


def upkeep(record: Record, *, now: int, today: str, fresh: bool) -> Upkeep:
    """What must be true of everything around `record` once it is written. `fresh`: its first append."""
    step = next_step(record, now=now, me="", today=today)
    if isinstance(step, Finish):
        in_doubt = isinstance(step.outcome, Lost) and record.call.acts
        pointers = _pointers_of_the_ended(record, step.outcome)
        # A first append that ends the call at once did nothing that a later request could be confused with.
        kept = _looked_at_by_a_denial(record) if fresh else pointers
        longest = max((keep for _, keep in record.keys), default=0) + RECALL_MS
        kept += _among_the_held(record, now, over=True)
        return Upkeep(kept, REMINDER_MS if in_doubt else None, None if in_doubt else longest)
    pointers = _pointers_of_the_open(record, fresh=fresh)
    return Upkeep(pointers + _among_the_held(record, now, over=False), _due_in(step, now))


def _among_the_held(record: Record, now: int, *, over: bool) -> tuple[Pointer, ...]:
    """A call that nobody was ever asked about was never one of them, so it costs nothing."""
    if record.expires_at is None:
        return ()
    judged = record.judged
    waits = judged is not None and judged.verdict.decision == "hold" and record.claim is None and not record.doubts
    if over or not waits:
        return (Pointer(ALL, "held", "over"),)
    return (Pointer(ALL, "held", "wait", record.expires_at - now),)


def attracts(record: Record, *, since: int, now: int) -> bool:
    """True if an identical request is this call, whatever its key. `since`: when its last fact was written."""
    step = next_step(record, now=now, me="", today="")
    if not isinstance(step, Finish):
        return _attracts_while_open(record)
    _, ttl = _lifetimes(record, step.outcome)
    return ttl is None or now < since + ttl


def in_hands_of(record: Record) -> str | None:
    """Of a call that attracts nobody: the process that sends it, or has its answer to hand over. None: it is over."""
    if record.claim is not None:
        return record.claim.worker
    answer = record.answer
    if answer is None or record.latest is None or answer.status in record.call.not_acted or _attracted(record):
        return None
    return record.latest.worker


def _attracted(record: Record) -> bool:
    """Whether an identical request was ever this call. Then the open pointer may lead here, and handing the answer over
    is a fact of its own: whoever asked first may not be there to get it."""
    return bool(record.asked or record.abandoned or record.lost)


def _attracts_while_open(record: Record) -> bool:
    return bool(record.asked or record.doubts or record.abandoned)


def _looked_at_by_a_denial(record: Record) -> tuple[Pointer, ...]:
    """A denied effect takes no pointers; but if its request is one that acted, or may have, it must not deny that."""
    if not record.call.acts:
        return ()
    keys = tuple(Pointer(name, "key", "test") for name, _ in record.keys)
    match = record.call.match
    return (*keys, Pointer(match, "open", "test"), Pointer(match, "executing", "look")) if keys else ()


def _due_in(step: Step, now: int) -> int:
    if isinstance(step, Wait):
        return max(0, step.until - now)
    return LOOKING_MS if isinstance(step, Look) else HANDOVER_MS


def _pointers_of_the_open(record: Record, *, fresh: bool) -> tuple[Pointer, ...]:
    call = record.call
    if not record.keys or not (call.acts or record.asked):
        return ()
    keys = tuple(Pointer(name, "key", "take" if fresh else "hold") for name, _ in record.keys)
    found_by_all = _attracts_while_open(record)
    if fresh:
        found = (*keys, Pointer(call.match, "open", "take" if found_by_all else "test"))
        mode: Literal["join", "look"] = "look" if record.claim is None else "join"
        return (*found, Pointer(call.match, "executing", mode, EXECUTING_MS)) if call.acts else found
    return (*keys, Pointer(call.match, "open", "hold"), *_stays(record, None)) if found_by_all else keys


def _pointers_of_the_ended(record: Record, outcome: Outcome) -> tuple[Pointer, ...]:
    call = record.call
    if not record.keys or not (call.acts or record.asked):
        return ()
    keep_keys, open_ttl = _lifetimes(record, outcome)
    return (
        *(_ended("key", name, {"free": 0, "keep": keep, "for ever": None}[keep_keys]) for name, keep in record.keys),
        *((_ended("open", call.match, open_ttl),) if _attracted(record) else ()),
        *_stays(record, open_ttl, over=keep_keys == "free" or record.delivered),
    )


def _stays(record: Record, ttl: int | None, *, over: bool = False) -> tuple[Pointer, ...]:
    """The open pointer leads to one call only; among those that were sent, every one that attracts is found.

    A call that was merely answered stays, as it joined, until whoever hands the answer over takes it out: should that
    process die just now, an identical request finds the call.
    """
    if not (record.call.acts and record.tokens):
        return ()
    if ttl != 0:
        return (Pointer(record.call.match, "executing", "stay", ttl),)
    return (Pointer(record.call.match, "executing", "leave"),) if over else ()


def _ended(kind: Literal["key", "open"], name: str, ttl: int | None) -> Pointer:
    return Pointer(name, kind, "free" if ttl == 0 else "hold", ttl)


def _lifetimes(record: Record, outcome: Outcome) -> tuple[Literal["free", "keep", "for ever"], int | None]:
    """What becomes of the key pointers, and how long the open pointer lasts: None for ever, 0 not at all."""
    match outcome:
        case Answered(status=status) if status in record.call.not_acted:
            return "free", 0
        case Answered() | Resolved(acted=True):
            if not _attracted(record) or (record.delivered and not record.polled):
                return "keep", 0
            return "keep", POLLED_MS if record.polled else OWED_MS
        case Lost() if record.call.acts:
            return "for ever", None
        case Rejected() | Expired() | Cancelled():
            return "keep", REFUSED_MS
        case Judged() | Withdrawn() | Unsent() | Lost() | Resolved():
            return "free", 0
