"""The journal, read directly, held against what the system did and what agents were told. Pure but for `read`.

Every function yields sentences; none means that a promise was kept. The rules are written down here once more, in
words of their own and not by calling the code that they judge, except for `recall` and `next_step`, whose own tests
are elsewhere. What a life may look like is written down in `gateway.core.lives`, as an auditor has it checked.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import LedgerEntry, RedisLedger
from gateway.core.call import PARTITION_NAMES, key_pointer
from gateway.core.facts import Admitted, Answered, Claimed, Expired, Fact, Judged, Lost, Rejected, Unsent
from gateway.core.lifecycle import Claim, next_step
from gateway.core.lives import fault
from gateway.core.record import Record, after, begin, recall, without_unused_allow
from gateway.core.segments import derived
from gateway.core.timeline import state
from tests.torture.agents import Told
from tests.torture.effects import Arrival

LONGEST_BACKOFF_MS = 2_000
"""A drive counts it from when it noticed the loss, the journal from when it was written, which may be much later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    entries: dict[str, list[LedgerEntry]]
    """By call, in the order of the ledger."""
    calls: dict[str, list[Fact]]
    """As the call store has them."""
    unsettled: list[str]

    def record(self, call: str) -> Record:
        return recall(self.calls[call])

    def sends(self) -> dict[str, tuple[str, Claimed]]:
        """By span id: the call and the claim that a request with this span was sent under."""
        return {
            derived(8, call, "send", fact.token): (call, fact)
            for call, facts in self.calls.items()
            for fact in facts
            if isinstance(fact, Claimed)
        }


async def read(journal: RedisJournal) -> Evidence:
    """Everything, as of one moment: read again if something was written meanwhile, such as that a notice arrived."""
    ledger = RedisLedger(journal)
    while True:
        ends = await ledger.ends()
        found = await _read(journal, ledger)
        if await ledger.ends() == ends:
            return found


async def _read(journal: RedisJournal, ledger: RedisLedger) -> Evidence:
    entries: dict[str, list[LedgerEntry]] = defaultdict(list)
    for partition in PARTITION_NAMES:
        place = ""
        while page := await ledger.read(partition, place, 500):
            for entry in page:
                entries[entry.call].append(entry)
            place = page[-1].id
    calls = {call: await journal.facts(call) for call in entries}
    return Evidence(entries=dict(entries), calls=calls, unsettled=await ledger.unsettled())


def ledger_and_calls_agree(evidence: Evidence) -> Iterator[str]:
    for call, entries in evidence.entries.items():
        told: list[Fact] = []
        for entry in entries:
            if entry.position != len(told):
                yield f"{call}: ledger entry {entry.id} stands at {entry.position}, but {len(told)} facts came before"
            told += entry.facts
        if told != evidence.calls[call]:
            yield f"{call}: the ledger says {told}, the call list {evidence.calls[call]}"


def every_life_is_legal(evidence: Evidence) -> Iterator[str]:
    for call, entries in evidence.entries.items():
        if wrong := fault((entry.id, entry.facts) for entry in entries):
            yield f"{call}: {wrong} in {[type(fact).__name__ for fact in evidence.calls[call]]}"
        for sentence in _claims_out_of_turn(entries):
            yield f"{call}: {sentence} in {[type(fact).__name__ for fact in evidence.calls[call]]}"


def _claims_out_of_turn(entries: list[LedgerEntry]) -> Iterator[str]:
    """What `lives` does not look at: times. A re-send comes after its pause, and while the system keeps the key."""
    record: Record | None = None
    for entry in entries:
        record = without_unused_allow(record) if record is not None else None
        for fact in entry.facts:
            if record is None:
                if not isinstance(fact, Admitted):
                    return  # said above
                record = begin(fact)
                continue
            if isinstance(fact, Claimed):
                today = record.judged.generation if record.judged else ""
                # At once, as when its time is nearly over; or after a pause that the drive counted and we do not know.
                steps = [next_step(record, now=fact.at + late, me="", today=today) for late in (0, LONGEST_BACKOFF_MS)]
                if not any(isinstance(step, Claim) for step in steps):
                    yield f"a claim where {steps[0]} was next"
            record = after(record, fact) if not isinstance(fact, Admitted) else record


def nothing_acted_twice(evidence: Evidence, told: list[Told], executions: dict[str, list[Arrival]]) -> Iterator[str]:
    """Whatever was asked under one key, and whatever was held under several, happens once.

    A call that provably did nothing frees all its keys, and each may then become a call of its own: not looked at.
    """
    keys, parted = defaultdict(set), set[str]()
    for item in told:
        keys[item.order].add(item.key)
        if item.call in evidence.calls and _released(evidence.record(item.call)):
            parted.add(item.order)
    for order, done in executions.items():
        if len(done) > 1 and not (order in parted and len(keys[order]) > 1):
            yield f"{order} was performed {len(done)} times: {done}"


def nothing_denied_was_sent(arrivals: list[Arrival]) -> Iterator[str]:
    for arrival in arrivals:
        if arrival.order.startswith("never"):
            yield f"{arrival.order} is forbidden, and reached the system"


def every_send_was_claimed(evidence: Evidence, arrivals: list[Arrival]) -> Iterator[str]:
    sends, seen = evidence.sends(), set[str]()
    for arrival in arrivals:
        if arrival.span not in sends:
            yield f"{arrival} reached the system under no claim of the journal"
            continue
        call, claim = sends[arrival.span]
        if claim.at > arrival.at:
            yield f"{call}: sent at {arrival.at}, but claimed only at {claim.at}"
        if arrival.span in seen:
            yield f"{call}: sent twice under the claim {claim.token}"
        seen.add(arrival.span)
        if any(isinstance(fact, Unsent) and fact.token == claim.token for fact in evidence.calls[call]):
            yield f"{call}: recorded as never sent, but {arrival} reached the system"


def every_effect_is_recorded(evidence: Evidence, executions: dict[str, list[Arrival]]) -> Iterator[str]:
    sends = evidence.sends()
    for done in executions.values():
        for arrival in done:
            if arrival.span not in sends:
                continue  # said above
            call, _ = sends[arrival.span]
            if (found := state(evidence.record(call))) not in ("answered", "in doubt"):
                yield f"{call} acted for {arrival.order}, but the journal says {found}"


def every_acknowledgement_is_recorded(
    evidence: Evidence, told: list[Told], executions: dict[str, list[Arrival]]
) -> Iterator[str]:
    for item in told:
        if not item.acknowledged:
            continue
        facts = evidence.calls.get(item.call, [])
        answered = [fact for fact in facts if isinstance(fact, Answered)]
        if not answered or answered[0].status != item.status:
            yield f"an agent got {item}, but the journal of that call says {facts}"
        elif answered[0].at > item.at:
            yield f"{item.call}: the agent had its answer at {item.at}, the journal only at {answered[0].at}"
        if not executions.get(item.order):
            yield f"an agent was told that {item.order} was done, but it never was"


def every_key_is_bound(evidence: Evidence, told: list[Told]) -> Iterator[str]:
    """Whoever was told a call's id under a key leads to that call for ever, unless the call provably did nothing."""
    calls: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for item in told:
        if not item.call or item.call not in evidence.calls:
            if item.call:
                yield f"an agent was told of call {item.call}, which the journal does not have: {item}"
            continue
        record = evidence.record(item.call)
        if not _released(record):
            calls[item.agent, item.tool, item.key or item.order].add(item.call)
        pointer = key_pointer(agent=item.agent, user=None, tool=f"bank.{item.tool}", key=f"={item.key}")
        if item.key and pointer not in {name for name, _ in record.keys}:
            yield f"{item.call}: {item.agent}'s key {item.key} got {item.status} {item.slug}, but is not bound to it"
    for (agent, tool, key), found in calls.items():
        if len(found) > 1:
            yield f"the key {key} of {agent} for {tool} led to several calls: {sorted(found)}"


def _released(record: Record) -> bool:
    """It provably did nothing, so its key is free for another attempt."""
    found = state(record)
    if found == "answered":
        return record.answer is not None and record.answer.status in record.call.not_acted
    return found == "unreachable" or (found == "denied" and not isinstance(record.refusal, Rejected | Expired))


def everything_is_settled(evidence: Evidence) -> Iterator[str]:
    for call, facts in evidence.calls.items():
        found = state(recall(facts))
        if found not in ("answered", "denied", "unreachable", "in doubt"):
            yield f"{call} is still {found}" + (
                "" if call in evidence.unsettled else ", and nobody will ever look at it"
            )
        if found == "in doubt" and call not in evidence.unsettled:
            yield f"{call} is in doubt, and on nobody's list"


def story(evidence: Evidence, told: list[Told], arrivals: list[Arrival], order: str) -> str:
    """Everything that is known about one order, in the order of time: for whoever has to find out what went wrong."""
    calls = {item.call for item in told if item.order == order}
    lines = [
        (item.at, f"told {item.key or '-'}: {item.status} {item.slug} {item.call[-6:]} {'replayed' * item.replayed}")
        for item in told
        if item.order == order
    ]
    lines += [(item.at, f"  system: {item.mood} under {item.span}") for item in arrivals if item.order == order]
    sends = evidence.sends()
    calls |= {sends[item.span][0] for item in arrivals if item.order == order and item.span in sends}
    for call in calls & set(evidence.calls):
        lines += [(fact.at, f"    {call[-6:]}: {type(fact).__name__} {_detail(fact)}") for fact in evidence.calls[call]]
    return "\n".join(f"{at} {line}" for at, line in sorted(lines))


def _detail(fact: Fact) -> str:
    match fact:
        case Judged(verdict=verdict):
            return verdict.decision
        case Claimed(token=token):
            return token
        case Answered(status=status, token=token):
            return f"{status} {token}"
        case Lost(error=error, token=token) | Unsent(error=error, token=token):
            return f"{error} {token}"
    return ""


def doubts(evidence: Evidence) -> list[str]:
    return [call for call in evidence.calls if state(evidence.record(call)) == "in doubt"]
