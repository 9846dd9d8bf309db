"""One call as a line of a list, of its facts alone: when, who, what, and how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.console.searching import people, policies
from gateway.core.facts import Fact
from gateway.core.record import recall
from gateway.core.timeline import line, state

TONES: Mapping[str, str] = {
    "answered": "good", "settled": "good", "denied": "bad", "unreachable": "bad", "in doubt": "doubt",
    "held": "waiting", "executing": "going", "judging": "going",
}  # fmt: skip
"""How each state looks; the word is always beside it."""


@dataclass(frozen=True, slots=True)
class Row:
    call: str
    begun: int
    changed: int
    """When the last of its facts was written."""
    agent: str
    user: str
    run: str
    tool: str
    resource: str
    effect: str
    state: str
    last: str
    """What happened to it last, in one sentence; empty if that is not known here."""
    facts: int
    unsealed: bool = False
    """Something of it is not in the sealed log yet."""
    policies: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    """Who had a say."""

    @property
    def tone(self) -> str:
        return TONES.get(self.state, "over")


def row(facts: Sequence[Fact], *, unsealed: bool = False) -> Row:
    """`facts`: all of a call, oldest first, at least one."""
    record = recall(facts)
    call = record.call
    return Row(
        call=call.id, begun=facts[0].at, changed=facts[-1].at, agent=call.agent, user=call.user or "",
        run=call.run or "", tool=call.tool, resource=call.resource, effect=call.effect, state=state(record),
        last=line(facts[-1]), facts=len(facts), unsealed=unsealed,
        policies=tuple(dict.fromkeys(policies(facts))), people=tuple(dict.fromkeys(people(facts))),
    )  # fmt: skip
