"""One drive's view of a call: the record so far, what is not written yet, and who is waiting.

A `Life` belongs to one task and dies with it; everything that matters is in the journal. The `Requester` is the
connection at the other end, shared by every life that serves the same request.
"""

from dataclasses import dataclass, field, replace

from gateway import errors
from gateway.core.admit import Admission
from gateway.core.call import Call
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Asked,
    Attached,
    Claimed,
    Delivered,
    Ended,
    Escalated,
    Fact,
    Judged,
    Reminded,
    Reported,
)
from gateway.core.owed import WORKING, served
from gateway.core.payload import Answer
from gateway.core.pointers import Pointer, Upkeep, upkeep
from gateway.core.quota import COUNTED
from gateway.core.record import Record, after, begin, recall
from gateway.core.recording import KEPT
from gateway.core.times import span
from gateway.core.verdict import Lifted, Verdict
from gateway.ports import Append, Generation, NoRoom, Reply, TooMuchStored
from gateway.randomness import random

LARGE_BODY = 64 * 1024
"""Bytes. The request of a call that is over and was never asked about is of use only to judge a poll of its answer:
above this it is not worth its place, and whoever wants the answer sends the request again."""
LEAST_COUNTED = COUNTED - 256
"""Bytes. What is smaller does not count as stored, also once it is encrypted."""
UNKNOWN_SECONDS = 3600
"""After how long it is worth trying again if people have to decide before anything leaves."""
FEW_KEYS = 4
"""Up to so many, looking which pointers are there already costs more than setting them again."""


@dataclass(slots=True)
class Requester:
    """Who waits for the answer."""

    left: bool = False
    """The connection closed before the answer was handed over."""
    executing: str = ""
    """The call that was sent for this requester, so that leaving unanswered must be written down."""


@dataclass(slots=True)
class Life:
    record: Record
    generation: Generation
    durable: int = 0
    """How many facts of `record` are in the journal."""
    fresh: bool = False
    """This drive admitted it: nobody else has seen it, and it never slept."""
    base: Record | None = None
    """What `record` was when it was last the same as in the journal."""
    admission: Admission | None = None
    requester: Requester = field(default_factory=Requester)
    facts: list[Fact] = field(default_factory=list)
    """All of them; the first `durable` are in the journal."""
    payload: dict[str, bytes] = field(default_factory=dict)
    large: bool = False
    """Some of what this drive wrote beside the facts counts as stored."""
    notices: list[tuple[str, int | None]] = field(default_factory=list)
    me: str = ""
    """Token of the claim that this drive wrote, if it has not sent yet."""
    claimed: float = 0.0
    """`uptime`, seconds, before that claim was written: by the journal's clock it was written no earlier."""
    answer: Answer | None = None
    """The system's answer, if this drive has it in hand."""
    reply: Reply | None = None
    """The same while its body still streams. Whoever takes it must close it."""
    beside: tuple[str, ...] = ()
    """Calls for the same intent whose sending does not stop this one: those who send them were seen at work."""
    attached: bool = False
    """This request turned out to be a call that existed."""
    binding: Attached | None = None
    """The key that must lead to this call before anything is answered, if it does not yet."""

    @property
    def lifted(self) -> tuple[Lifted, ...]:
        """What standing grants lift for this call to be allowed: they must be there when it is."""
        judged = self.record.judged
        return judged.verdict.granted if judged is not None else ()

    @property
    def salt(self) -> bytes:
        """Of a call that this drive sent: without it no digest of an answer tells what the answer was."""
        assert self.admission is not None, "it was sent as it was admitted"
        return self.admission.salt

    @property
    def records(self) -> bool:
        """Its tool says what is kept of it."""
        return self.admission is not None and self.admission.tool.record is not None

    @property
    def pending(self) -> list[Fact]:
        return self.facts[self.durable :]

    def add(self, fact: Fact) -> None:
        """`fact.at` is our estimate of the journal's time; the journal stamps its own."""
        self.facts.append(fact)
        self.record = after(self.record, fact)

    def heard_by(self, fact: Asked | Reminded | Escalated | Reported) -> None:
        """A fact with notices, each of which goes to the outbox with it."""
        self.add(fact)
        self.notices += [(notice.id, 0) for notice in fact.notices]

    def identify(self, call: Call) -> None:
        """Before anything is written: the call with the pointers that a read has only if it is held."""
        first = self.facts[0]
        assert isinstance(first, Admitted)
        assert not self.durable
        known = Admitted(call=call, at=first.at)
        self.facts[0] = known
        self.record = self.record.evolve(call=call, keys=begin(known).keys)

    def start_again(self, facts: list[Fact]) -> None:
        """Forget what is not written; the journal has exactly these."""
        edits = self.record.edits
        self.record, self.facts, self.fresh = recall(facts), facts, False
        if self.record.edits != edits:
            self.admission = None  # the bytes beside the facts are others now
        self.written()
        self.bind()

    def admit_again(self, generation: Generation) -> None:
        """Forget everything but the request, which is to be judged anew by this generation. Nothing is written yet."""
        first = self.facts[0]
        assert isinstance(first, Admitted)
        assert not self.durable
        self.record, self.facts, self.notices, self.me = begin(first), [first], [], ""
        self.generation, self.admission = generation, None

    def judge_again(self) -> None:
        """Forget the verdict, which nobody wrote down, and what followed from it; the request stays what it is."""
        admission, payload = self.admission, self.payload
        self.admit_again(self.generation)
        self.admission, self.payload = admission, payload

    def bind(self) -> None:
        """Have the key of this request lead here; again after somebody else wrote first."""
        if self.binding is not None and all(name != self.binding.key for name, _ in self.record.keys):
            self.add(self.binding)

    def write_anew(self) -> None:
        """The journal knows nothing of this call any more: all that is known of it must be written."""
        self.durable, self.fresh, self.base = 0, False, None

    def written(self) -> None:
        self.base = self.record
        self.durable, self.payload, self.notices = len(self.facts), {}, []

    def refuse_suspended(self, now: int) -> None:
        """The journal would not let a suspended agent act: that is the verdict of this moment."""
        if self.durable == 0:
            self.admit_again(self.generation)
            self.payload = {}
        self.me = ""
        verdict = Verdict(decision="deny", code="agent-suspended")
        self.add(Judged(verdict=verdict, generation=self.generation.digest, fingerprint="", at=now))

    def append(self, now: int) -> Append:
        """What is pending, as one append."""
        call, pending = self.record.call, self.pending
        kinds = [type(fact) for fact in pending]
        claims = Claimed in kinds
        guarded = claims or (Answered in kinds and not call.acts)
        upkeep = self._upkeep(now)
        if Asked in kinds and not self.durable and (quota := self._questions()):
            upkeep = replace(upkeep, pointers=(*upkeep.pointers, quota))
        if self.lifted and (claims or (guarded and not self.record.tokens)):  # what is claimed was let through already
            needed = tuple(Pointer(each.grant, "grant", "need") for each in self.lifted)
            upkeep = replace(upkeep, pointers=(*upkeep.pointers, *needed))
        payload = self._lasting(upkeep)
        self.large = self.large or (bool(payload) and max(map(len, payload.values())) >= LEAST_COUNTED)
        if self.large or (not self.fresh and (call.acts or self.record.asked)):
            anew = not self.fresh and not self.durable  # what the journal lost must be in it, whatever it takes
            limited = not anew and (not self.record.asked if Answered in kinds else not self.durable)
            upkeep = replace(upkeep, pointers=(*upkeep.pointers, self._stored(limited=limited)))
        return Append(
            call=call.id, agent=call.agent, expected=self.durable, token=random.hex(8),
            facts=tuple(pending),
            upkeep=upkeep,
            guarded=guarded, replicated=claims and call.acts and not call.repeatable,
            payload=payload, beside=self.beside, notices=tuple(self.notices),
        )  # fmt: skip

    def _lasting(self, upkeep: Upkeep) -> dict[str, bytes]:
        """What is worth keeping: of a call that ends unasked the answer, and the request only if it is small. What
        people were asked about is destroyed once it has served."""
        payload = self.payload
        if upkeep.expire_in is None or self.record.expires_at is not None:
            return {**payload, **WORKING} if served(self.record) else payload
        if not self.durable:  # denied at once: nothing was sent, nothing can be asked for
            return {name: value for name, value in payload.items() if name == "answer" or name.startswith(KEPT)}
        large = self.admission is not None and len(self.admission.request.body) > LARGE_BODY
        return {**payload, "request": b""} if large else payload

    def _questions(self) -> Pointer | None:
        """That people are asked because of this request counts against what its agent may have them asked."""
        agent = self.generation.routes.agents.get(self.record.call.agent)
        quota = agent.questions if agent is not None else None
        if quota is None:
            return None
        return Pointer(self.record.call.agent, "questions", "count", round(quota.seconds * 1000), quota.most)

    def _stored(self, *, limited: bool) -> Pointer:
        """What is kept counts, always; what may be refused is a request, and keeping a system's answer to it. What
        people do about a call is never refused for what its agent has stored, and the answer to what they approved is
        always kept: whoever asked for it may have to come back for it."""
        name = self.record.call.agent
        agent = self.generation.routes.agents.get(name)
        return Pointer(name, "stored", "store", most=(agent.storage or 0) if agent is not None and limited else 0)

    def beyond(self, full: NoRoom) -> errors.GatewayError:
        """What the requester is told; nothing of this call is written, so there is none."""
        agent, seconds = self.record.call.agent, max(1, -(-full.milliseconds // 1000))
        if isinstance(full, TooMuchStored):
            most = self._stored(limited=True).most
            return errors.TooMuchStored(agent, most, retry_seconds=seconds if full.milliseconds else UNKNOWN_SECONDS)
        quota = self._questions()
        assert quota is not None, "the journal counted"
        return errors.TooManyQuestions(agent, quota.most, span(quota.ttl or 0), retry_seconds=seconds)

    def _upkeep(self, now: int) -> Upkeep:
        """Without the pointers that are so already: a call that is asked for under many keys has one for each."""
        today, base = self.generation.digest, self.base
        wanted = upkeep(self.record, now=now, today=today, fresh=self.fresh and not self.durable)
        if base is None or len(self.record.keys) <= FEW_KEYS:
            return wanted
        there = set(upkeep(base, now=now, today=today, fresh=False).pointers)
        return Upkeep(tuple(item for item in wanted.pointers if item not in there), wanted.due_in, wanted.expire_in)


def known(record: Record, fact: Abandoned | Delivered | Ended) -> bool:
    """True if writing `fact` would say nothing new."""
    match fact:
        case Delivered(polled=polled):
            return record.delivered and (polled or not record.polled)
        case Abandoned():
            return record.abandoned and not record.delivered
        case Ended():
            return record.ended is not None
