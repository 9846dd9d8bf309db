"""Lives of calls for tests of what reads the sealed log: who they are about differs, so that filters can tell them
apart, and every outcome is among them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.core.call import partition_of
from gateway.core.deployment import DEPLOYMENT, NAME, AgentSuspended, DeploymentFact, Loaded, LoadedFile
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Expired,
    Fact,
    Judged,
    Lost,
    Notice,
    Rejected,
    Resolved,
    Unsent,
    Withdrawn,
)
from gateway.core.grants import Granted, GrantFact, Revoked
from gateway.core.verdict import Requirement, Verdict
from tests.playbook import CALL, FINANCE
from tests.sealed_log import SIGNER, entry, write_log

START = 1_795_168_800_000
"""2026-11-20T10:00:00Z."""
G1, G2 = "1" * 64, "2" * 64
PRINT, EDITED = "a" * 64, "b" * 64
OVER_50 = Requirement("finance", "over-50", "7" * 64)


def call(number: int, **changes: Any) -> Admitted:
    agent = changes.get("agent", "billing-bot")
    id_ = f"{partition_of(agent):02d}{number:020x}"
    return Admitted(call=replace(CALL, id=id_, fingerprint=PRINT, **changes))


def judged(decision: str, generation: str = G1, fingerprint: str = PRINT, **verdict: Any) -> Judged:
    return Judged(verdict=Verdict(decision=decision, **verdict), generation=generation, fingerprint=fingerprint)  # type: ignore[arg-type]


ALLOW = judged("allow", policies=("ops-may",))
DENY = judged("deny", policies=("no-nights",), reasons=("Nobody works at night.",))
HOLD = judged("hold", policies=("over-50",), reasons=("Over 50 needs finance.",), requirements=(OVER_50,))
LIFTED = judged("allow", G2, policies=("ops-may", "over-50"), requirements=(OVER_50,))
ASKED = Asked(
    fingerprint=PRINT,
    requirements=(OVER_50,),
    expire=3_600_000,
    notices=(Notice(id="n-1", group="finance", channel=0),),
)
YES = Approved(
    by="ann",
    group="finance",
    fingerprint=PRINT,
    requirements=(OVER_50,),
    via="by token",
    reason="checked",
    message="m1",
)
NO = Rejected(by="bob", group="finance", fingerprint=PRINT, via="on the page", reason="not this month")
EDIT = Edited(
    by="ann", group="finance", before=PRINT, fingerprint=EDITED, changed=("amount",), via="by token",
    resource="Charge/ch_2",
)  # fmt: skip
CLAIM = Claimed(token="t1", fingerprint=PRINT, lease=35_000, worker="w1")
ANSWER = Answered(token="t1", status=200, length=512, sha256="c" * 64, kept=True)
LOST, UNSENT = Lost(token="t1", error="connection reset"), Unsent(token="t1", error="connection refused")
SETTLED = Resolved(by="olga", acted=True, note="seen in the dashboard")

LIVES: dict[str, tuple[Fact, ...]] = {
    "answered": (call(1), ALLOW, CLAIM, ANSWER, Delivered()),
    "approved": (
        call(2, user="eve@acme.example", run="run-7", reason="the customer asked"), HOLD, ASKED, YES, LIFTED, CLAIM,
        ANSWER, Delivered(),
    ),
    "denied": (call(3, agent="night-bot"), DENY),
    "rejected": (call(4), HOLD, ASKED, NO),
    "expired": (call(5), HOLD, ASKED, Expired()),
    "withdrawn": (call(6), HOLD, ASKED, Withdrawn()),
    "cancelled": (call(7), HOLD, ASKED, Cancelled(by="olga", via="by token", reason="stopped")),
    "edited": (
        call(8), HOLD, ASKED, EDIT, replace(YES, fingerprint=EDITED), replace(LIFTED, fingerprint=EDITED),
        replace(CLAIM, fingerprint=EDITED), ANSWER,
    ),
    "unreachable": (call(9), ALLOW, CLAIM, UNSENT),
    "in doubt": (call(10), ALLOW, CLAIM, LOST, Abandoned()),
    "settled": (call(11), ALLOW, CLAIM, LOST, SETTLED),
    "held": (call(12), HOLD, ASKED),
    "executing": (call(13), ALLOW, CLAIM),
    "judging": (call(14), HOLD, ASKED, YES),
    "read": (
        call(15, tool="crm.get_person", system="crm", effect="read", method="GET", resource="", agent="night-bot"),
        ALLOW, replace(ANSWER, token="", status=404), Delivered(polled=True),
    ),
}  # fmt: skip
"""One call of each kind, by how it went."""
FINDS = dict.fromkeys(("rejected", "expired", "withdrawn", "cancelled"), "denied") | {
    "approved": "answered", "edited": "answered", "read": "answered",
}  # fmt: skip
"""The outcome of those that are not named by it."""
GRANT = f"grant-{partition_of('billing-bot'):02d}{'d' * 22}"
GIVEN = Granted(
    grant=GRANT, agent="billing-bot", tool="stripe.create_refund", shape="e" * 64, requirement=FINANCE, until=START * 2,
    by="ann", via="by token", call="x", fingerprint="f" * 64,
)  # fmt: skip
TAKEN_BACK = Revoked(grant=GRANT, by="olga")
LOADED = tuple(
    Loaded(generation=name, files=(LoadedFile(name="routes.yaml", sha256="9" * 64),), version="1.0")
    for name in (G1, G2)
)


def id_of(name: str) -> str:
    """Of one of LIVES."""
    first = LIVES[name][0]
    assert isinstance(first, Admitted)
    return first.call.id


def leaves_of_life(*facts: Fact, at: int = START) -> list[bytes]:
    """Its leaves, all written in one moment, each in an append of its own."""
    assert isinstance(facts[0], Admitted)
    name = facts[0].call.id
    found: list[bytes] = []
    for position, together in appends(facts):
        found += entry(position, name, position, [replace(fact, at=at) for fact in together])
    return found


def appends(facts: Sequence[Fact]) -> Iterator[tuple[int, list[Fact]]]:
    """Facts that stand in one append, and how many stood before: what is done stands with what allowed it."""
    together: list[Fact] = []
    for position, fact in enumerate(facts):
        if together and not (isinstance(fact, Claimed) or (isinstance(fact, Answered) and not fact.token)):
            yield position - len(together), together
            together = []
        together.append(fact)
    yield len(facts) - len(together), together


def sealed(
    ledger: Path, lives: Iterable[Sequence[Fact]] = LIVES.values(), grants: Sequence[GrantFact] = (GIVEN, TAKEN_BACK)
) -> Path:
    """A log in which these lives are, one call after the other, an append a second."""
    logs: dict[str, list[bytes]] = {}
    number = 0
    for life in lives:
        first = life[0]
        assert isinstance(first, Admitted)
        name = first.call.id
        for position, together in appends(life):
            number += 1
            told = [replace(fact, at=START + 1000 * number) for fact in together]
            logs.setdefault(name[:2], []).extend(entry(1000 * number, name, position, told))
    for position, given in enumerate(grants):
        number += 1
        at = START + 1000 * number
        logs.setdefault(GRANT[6:8], []).extend(entry(1000 * number, GRANT, position, [replace(given, at=at)]))
    deployed: tuple[DeploymentFact, ...] = (*LOADED, AgentSuspended(agent="night-bot", by="olga"))
    logs[DEPLOYMENT] = [leaf for place, fact in enumerate(deployed) for leaf in entry(place + 1, NAME, place, [fact])]
    for partition, leaves in logs.items():
        write_log(ledger, partition, leaves, SIGNER)
    return ledger
