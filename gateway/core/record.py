"""What the facts of a call amount to: `after` folds one fact into a `Record`, `recall` a whole call.

Nothing is decided here; `lifecycle.next_step` does that. It must never refuse a fact that is in the journal: whatever
was written happened, and a late truth is still the truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, assert_never

from gateway.core.call import Call
from gateway.core.expected import Expected, after_asking, after_voting
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Attached,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Judged,
    Lost,
    Notice,
    Notified,
    Previewed,
    Recorded,
    Rejected,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Rung,
    Unsent,
    Viewed,
    Withdrawn,
)
from gateway.core.looking import BLIND, Sight, still_held
from gateway.core.verdict import Requirement


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything the facts so far amount to. Without slots, because a copy with changes is then one dict update."""

    call: Call
    version: int = 1
    judged: Judged | None = None
    asked: tuple[Requirement, ...] = ()
    """What people were asked under `asked_fingerprint`."""
    asked_fingerprint: str = ""
    expected: Expected = ()
    """How many more votes each of `asked` takes, as far as the people know who were asked and who voted since."""
    sight: Sight = BLIND
    """What they are shown of the system, and whether it is still so."""
    expires_at: int | None = None
    """Fixed by the first Asked; no vote extends it."""
    ladder: tuple[tuple[int, Rung], ...] = ()
    """What is still to come while nobody decides, by the time at which it is due."""
    escalated: tuple[tuple[str, str], ...] = ()
    """Groups, and people who may decide for them because the question was escalated to them."""
    notices: tuple[Notice, ...] = ()
    heard: tuple[Notified, ...] = ()
    """What came of every attempt to deliver a notice."""
    votes: tuple[Approved, ...] = ()
    """Those that were not taken back."""
    edits: tuple[Edited, ...] = ()
    messages: tuple[str, ...] = ()
    """Ids of all callbacks that were recorded, also of yeses that were taken back: none of them counts twice."""
    refusal: Rejected | Expired | Withdrawn | Cancelled | None = None
    claim: Claimed | None = None
    """The claim that is open: its send has no known result yet."""
    first: Claimed | None = None
    """The first claim ever: a re-send must equal it."""
    latest: Claimed | None = None
    """The last claim: nobody settles a doubt before it is over."""
    tokens: tuple[str, ...] = ()
    """Of all claims ever written."""
    doubts: frozenset[str] = frozenset()
    """Tokens of sends that may have acted."""
    lost: Lost | None = None
    unsent: Unsent | None = None
    answer: Answered | None = None
    ended: Ended | None = None
    resolved: Resolved | None = None
    abandoned: bool = False
    delivered: bool = False
    reported: str = ""
    """What those who were asked were last told of how it ended: the kind of the notice."""
    polled: bool = False
    """It was delivered, but only to somebody who asked about the call."""
    keys: tuple[tuple[str, int], ...] = ()
    """Names of the key pointers that lead here, and how many milliseconds each lasts after the end."""

    def evolve(self, **changes: Any) -> "Record":
        """The same with these changes. `dataclasses.replace` does it too, four times slower, several times a call."""
        record = object.__new__(Record)
        object.__setattr__(record, "__dict__", self.__dict__ | changes)
        return record


BLANK = Record(call=Call(id="", agent="", system="", tool="", effect="", method="", resource="", fingerprint=""))


def begin(fact: Admitted) -> Record:
    """The record of a call about which only its admission is known."""
    call = fact.call
    return BLANK.evolve(call=call, keys=((call.key, call.keep_ms),) if call.key else ())


def after(record: Record, fact: Fact) -> Record:
    """Fold one more fact into `record`."""
    return record.evolve(version=record.version + 1, **_changes(record, fact))


def _changes(record: Record, fact: Fact) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - one line per fact
    match fact:
        case Judged():
            if record.sight is BLIND:
                return {"judged": fact}
            return {"judged": fact, "sight": record.sight.after_judging(fact)}
        case Claimed():
            tokens = (*record.tokens, fact.token)
            return {"claim": fact, "first": record.first or fact, "latest": fact, "tokens": tokens, "unsent": None}
        case Unsent() | Lost() | Answered():
            return _what_sending_changes(record, fact)
        case Asked():
            return _what_asking_changes(record, fact)
        case Previewed():
            return _what_looking_changes(record, fact)
        case Approved() if record.claim is None and record.refusal is None:
            # An approval does not allow. It is one more thing that today's policies weigh.
            expected = after_voting(record.expected, fact, record.votes, record.asked_fingerprint)
            return {"votes": (*record.votes, fact), "judged": None, "expected": expected, **_said(record, fact)}
        case Rejected() if record.refusal is None:
            return {"refusal": fact, **_said(record, fact)}
        case Expired() | Withdrawn() | Cancelled() if record.refusal is None:
            return {"refusal": fact}
        case Retracted(by=by, group=group) if record.claim is None and record.refusal is None:
            votes = tuple(vote for vote in record.votes if (vote.by, vote.group) != (by, group))
            return {"votes": votes, "judged": None, **_said(record, fact)}
        case Edited() if record.claim is None and record.refusal is None:
            call = replace(record.call, resource=fact.resource) if fact.resource else record.call
            return {"call": call, "edits": (*record.edits, fact), "judged": None, **_said(record, fact)}
        case Reminded(group=group) | Escalated(group=group):
            return _what_climbing_changes(record, fact, group)
        case Reported(kind=kind):
            return {"reported": kind, "notices": (*record.notices, *fact.notices)}
        case Attached(key=key, keep=keep):
            known = any(name == key for name, _ in record.keys)
            return {} if known else {"keys": (*record.keys, (key, keep))}
        case Notified():
            return {"heard": (*record.heard, fact)}
        case Ended():
            return {"ended": fact}
        case Abandoned():
            return {"abandoned": True, "delivered": False, "polled": False}
        case Delivered(polled=polled):
            return {"delivered": True, "polled": polled and (record.polled or not record.delivered)}
        case Resolved():
            return {"resolved": fact, "doubts": frozenset(), "claim": None}
        case Approved() | Rejected() | Expired() | Withdrawn() | Cancelled() | Retracted() | Edited():
            return {}
        case Recorded() | Viewed():
            return {}  # for whoever reads the record
        case Admitted():
            raise ValueError("a call is admitted once")
        case _:
            assert_never(fact)


def _said(record: Record, fact: Approved | Rejected | Retracted | Edited) -> dict[str, Any]:
    return {"messages": (*record.messages, fact.message)} if fact.message else {}


def _what_asking_changes(record: Record, fact: Asked) -> dict[str, Any]:
    same = record.asked_fingerprint == fact.fingerprint
    asked, expected = (record.asked, record.expected) if same else ((), ())
    return {
        "asked": tuple(dict.fromkeys((*asked, *fact.requirements))),
        "expected": after_asking(expected, fact, record.judged),
        "asked_fingerprint": fact.fingerprint,
        "sight": record.sight.after_asking(fact, same=same) if fact.previews or record.sight is not BLIND else BLIND,
        "expires_at": fact.at + fact.expire if record.expires_at is None else record.expires_at,
        "notices": (*record.notices, *fact.notices),
        "ladder": _with_rungs(record.ladder if same else (), fact),
    }


def _with_rungs(ladder: tuple[tuple[int, Rung], ...], fact: Asked) -> tuple[tuple[int, Rung], ...]:
    """A group that is asked again begins its ladder anew."""
    groups = {item.group for item in fact.requirements}
    others = tuple(item for item in ladder if item[1].group not in groups)
    return tuple(sorted((*others, *((fact.at + rung.after, rung) for rung in fact.ladder)), key=lambda item: item[0]))


def _what_climbing_changes(record: Record, fact: Reminded | Escalated, group: str) -> dict[str, Any]:
    """The first rung of that group is behind it."""
    climbed = next((item for item in record.ladder if item[1].group == group), None)
    changes: dict[str, Any] = {
        "ladder": tuple(item for item in record.ladder if item is not climbed),
        "notices": (*record.notices, *fact.notices),
    }
    if isinstance(fact, Escalated):
        changes["escalated"] = tuple(dict.fromkeys((*record.escalated, *((group, person) for person in fact.to))))
    return changes


def _what_looking_changes(record: Record, fact: Previewed) -> dict[str, Any]:
    if record.claim is not None or fact.fingerprint != record.asked_fingerprint:
        return {}
    changes: dict[str, Any] = {"sight": record.sight.after_looking(fact), "notices": (*record.notices, *fact.notices)}
    if record.doubts:  # nobody is asked about what may have been done
        votes = () if fact.changed else record.votes
        return changes | {"votes": votes, "judged": None if fact.changed or fact.failed else record.judged}
    if fact.changed:  # nobody has said yes to this: it is another question, put to the same people
        return changes | {"votes": (), "judged": None, "asked": (), "expected": ()}
    return changes | {"judged": still_held(record.judged)} if fact.again and fact.failed else changes


def _what_sending_changes(record: Record, fact: Unsent | Lost | Answered) -> dict[str, Any]:
    """What a send came to. Accepted in any state, for any claim ever written: a late truth is still the truth."""
    if (record.call.acts or fact.token) and fact.token not in record.tokens:
        return {}
    claim = None if record.claim is not None and record.claim.token == fact.token else record.claim
    sight = record.sight.unused()
    match fact:
        case Answered():
            return {"answer": fact, "claim": None, "doubts": frozenset()}
        case Unsent():
            return {
                "claim": claim,
                "doubts": record.doubts - {fact.token},
                "unsent": fact,
                "judged": None,
                "sight": sight,
            }
        case Lost():
            doubts = record.doubts | {fact.token} if record.call.acts else record.doubts
            return {"claim": claim, "doubts": doubts, "lost": fact, "judged": None, "sight": sight}


def recall(facts: Iterable[Fact]) -> Record:
    """The record that these facts, oldest first, amount to for somebody who did not write them."""
    iterator = iter(facts)
    first = next(iterator, None)
    if not isinstance(first, Admitted):
        raise ValueError("the first fact of a call is its admission")  # noqa: TRY004 - damaged data, not a caller's bug
    record = begin(first)
    for fact in iterator:
        record = after(record, fact)
    return without_unused_allow(record)


def without_unused_allow(record: Record) -> Record:
    """Rule 1: an allow that nobody used in its own append is worth nothing to whoever reads it later."""
    if record.claim is None and record.sight.confirmed:
        record = record.evolve(sight=record.sight.without_confirmation())
    judged, first = record.judged, record.first
    if judged is None or judged.verdict.decision != "allow" or record.claim is not None or record.answer is not None:
        return record
    if first is not None and judged.fingerprint != first.fingerprint:
        return record  # of other bytes than those in doubt: it lets nothing happen, and need not be asked for again
    return record.evolve(judged=None)
