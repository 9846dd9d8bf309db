"""A call as one line of a spreadsheet. Pure.

A spreadsheet runs what begins like a formula, and what stands here was partly written by agents: such a value gets a
quote in front, which a spreadsheet shows as text. Commas, quotes and line breaks are the `csv` module's affair.
"""

from collections.abc import Sequence

from gateway.core.facts import Admitted, Answered, Claimed, Ended, Fact, Judged
from gateway.core.one_line import visible
from gateway.core.times import moment
from gateway.ledger.gist import Gist

FORMULA = tuple("=+-@\t\r\n|%\uff1d\uff0b\uff0d\uff20")
"""How a cell begins that a spreadsheet may run; also in the wide letters that some take for the same."""
COLUMNS = (
    "id", "begun", "last", "outcome", "status", "agent", "user", "run", "source_ip", "system", "tool", "effect",
    "method", "resource", "people", "policies", "generations", "fingerprint", "sent_fingerprint", "sends",
    "answer_bytes", "answer_sha256", "reason", "facts", "partition", "first_leaf", "first_leaf_hash",
)  # fmt: skip


def row(gist: Gist, facts: Sequence[Fact], leaf_hash: str) -> list[str]:
    """Under COLUMNS. `facts` may be none, if they cannot be read; `leaf_hash` is of the first leaf."""
    call = facts[0].call if facts and isinstance(facts[0], Admitted) else None
    claims = [fact for fact in facts if isinstance(fact, Claimed)]
    answer = next((fact for fact in reversed(facts) if isinstance(fact, Answered)), None)
    body = next((fact for fact in reversed(facts) if isinstance(fact, Ended)), answer)
    generations = dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged))
    cells: tuple[object, ...] = (
        gist.id, moment(gist.begun), moment(gist.last), gist.outcome, gist.status or "", gist.agent, gist.user,
        gist.run, call.source_ip if call else "", gist.system, gist.tool, gist.effect, call.method if call else "",
        gist.resource, "; ".join(gist.people), "; ".join(gist.policies), "; ".join(generations),
        call.fingerprint if call else "", claims[-1].fingerprint if claims else "", len(claims),
        body.length if body else "", body.sha256 if body else "", call.reason if call else "", len(gist.leaves),
        gist.id[:2], gist.leaves[0], leaf_hash,
    )  # fmt: skip
    return [safe(str(cell)) for cell in cells]


def safe(cell: str) -> str:
    """As text that no spreadsheet runs and no terminal obeys."""
    shown = visible(cell)
    return f"'{shown}" if cell.startswith(FORMULA) else shown
