"""Assert a call's life as a dialogue: `>>` a fact goes in, `<<` a step comes out.

After mitmproxy's `Playbook` (test/mitmproxy/proxy/tutils.py). Also the ready-made calls and facts that core tests
share, so that a dialogue reads like the sentence it proves.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.call import Call
from gateway.core.facts import (
    Admitted,
    Answered,
    Approved,
    Asked,
    Claimed,
    Fact,
    Judged,
    Lost,
    Notice,
    Rejected,
    Unsent,
)
from gateway.core.lifecycle import Step, next_step
from gateway.core.pointers import Upkeep, upkeep
from gateway.core.record import Record, after, begin, recall
from gateway.core.verdict import Decision, Requirement, Verdict

ME, YOU = "token-of-mine", "token-of-yours"
TODAY, TOMORROW = "generation-1", "generation-2"
PRINT, OTHER_PRINT = "f" * 64, "0" * 64
LEASE, KEEPS, EXPIRE = 35_000, 86_400_000, 3_600_000
HOUR = 3_600_000

FINANCE = Requirement("finance", "over-50", "text-1")
FINANCE_EDITED = Requirement("finance", "over-50", "text-2")
LEGAL = Requirement("legal", "abroad", "text-3")

CALL = Call(
    id="07" + "ab" * 10,
    agent="billing-bot",
    system="stripe",
    tool="stripe.create_refund",
    effect="write",
    method="POST",
    resource="Charge/ch_1",
    fingerprint=PRINT,
    match="m" * 64,
    key="key-1",
    key_given=True,
    repeatable=False,
    keeps_ms=0,
    keep_ms=24 * HOUR,
    not_acted=(401, 429),
)
REPEATABLE = replace(CALL, repeatable=True, keeps_ms=KEEPS)
READ = replace(CALL, tool="stripe.get_charge", effect="read", method="GET", match="", key="", key_given=False)


def judged(
    decision: Decision,
    *unmet: Requirement,
    generation: str = TODAY,
    fingerprint: str = PRINT,
    lacking: tuple[int, ...] = (),
) -> Judged:
    verdict = Verdict(decision=decision, requirements=unmet, code="no-permit" if decision == "deny" else "")
    return Judged(verdict=verdict, generation=generation, fingerprint=fingerprint, lacking=lacking)


ALLOW, DENY = judged("allow"), judged("deny")
HOLD = judged("hold", FINANCE)


def asked(*requirements: Requirement, fingerprint: str = PRINT, expire: int = EXPIRE) -> Asked:
    notices = tuple(Notice(id=f"notice-{item.group}", group=item.group, channel=0) for item in requirements)
    return Asked(fingerprint=fingerprint, requirements=requirements, notices=notices, expire=expire)


def yes(by: str = "ann", *requirements: Requirement, fingerprint: str = PRINT) -> Approved:
    met = requirements or (FINANCE,)
    return Approved(by=by, group=met[0].group, fingerprint=fingerprint, requirements=met, via="token")


def no(by: str = "ann") -> Rejected:
    return Rejected(by=by, group="finance", fingerprint=PRINT, via="token", reason="not this month")


def claimed(token: str = ME, *, fingerprint: str = PRINT, lease: int = LEASE) -> Claimed:
    return Claimed(token=token, fingerprint=fingerprint, lease=lease)


def answered(token: str = ME, status: int = 200) -> Answered:
    return Answered(token=token, status=status, length=2, sha256="a" * 64, kept=True)


def lost(token: str = ME, status: int = 0) -> Lost:
    return Lost(token=token, error="reset", status=status)


def unsent(token: str = ME) -> Unsent:
    return Unsent(token=token, error="refused")


@dataclass
class Playbook:
    """One call, told fact by fact. Facts carry the time at which they are told."""

    call: Call = CALL
    now: int = 0
    me: str = ME
    today: str = TODAY
    facts: list[Fact] = field(init=False)
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        first = Admitted(call=self.call, at=self.now)
        self.facts, self.record = [first], begin(first)

    def __rshift__(self, fact: Fact) -> "Playbook":
        stamped = replace(fact, at=self.now)
        self.facts.append(stamped)
        self.record = after(self.record, stamped)
        return self

    def __lshift__(self, expected: Step | type) -> "Playbook":
        actual = self.step
        same = isinstance(actual, expected) if isinstance(expected, type) else actual == expected
        assert same, f"expected {expected}, got {actual}"
        return self

    @property
    def step(self) -> Step:
        return next_step(self.record, now=self.now, me=self.me, today=self.today)

    @property
    def last(self) -> Any:
        """The fact told last, with its time: what a `Finish` carries."""
        return self.facts[-1]

    @property
    def upkeep(self) -> Upkeep:
        """What the append of the facts so far would bring about."""
        return upkeep(self.record, now=self.now, today=self.today, fresh=False)

    def at(self, now: int) -> "Playbook":
        """The time is now `now`."""
        self.now = now
        return self

    def as_(self, me: str) -> "Playbook":
        """Another drive looks."""
        self.me = me
        return self

    def deployed(self, generation: str) -> "Playbook":
        """Other routes or policies serve now."""
        self.today = generation
        return self

    def recalled(self) -> "Playbook":
        """The process died; another one reads what is in the journal."""
        self.me = ""
        self.record = recall(self.facts)
        return self
