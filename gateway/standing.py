"""The standing grants that this process knows of, so that a call that is held need not ask for them.

They are looked at every second, so for that long a new grant may lift nothing yet, and a revoked one may still be
counted on: then the claim, which needs the grant to be there, is refused by the journal, and the call is judged
again without it. Nothing here decides anything about a call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.grants import Grant
from gateway.core.verdict import Lifted
from gateway.grant_ports import Grants


@dataclass(slots=True)
class Standing:
    _known: dict[str, tuple[int, Grant]] = field(default_factory=dict)
    """By id; with how many facts it had."""
    _about: dict[tuple[str, str], tuple[Grant, ...]] = field(default_factory=dict)
    """By agent and tool; only those that are not over, which have no text."""

    def of(self, agent: str, tool: str) -> Sequence[Grant]:
        """Those that are about this tool and agent. Whether one stands is for the caller to find out."""
        return self._about.get((agent, tool), ())

    async def refresh(self, grants: Grants, now: int) -> None:
        """Learn what changed. Raises JournalUnavailable."""
        found: dict[str, tuple[int, Grant]] = {}
        for grant, length in (await grants.index(since=now)).items():
            known = self._known.get(grant)
            if known is not None and known[0] == length:
                found[grant] = known
            elif read := await grants.read(grant):
                found[grant] = len(read.given) + (read.revoked is not None), read
        self._known = found
        self._arrange()

    def forget(self, lifted: Sequence[Lifted]) -> None:
        """The journal says that one of these is gone. Those that are not are learnt again."""
        for each in lifted:
            self._known.pop(each.grant, None)
        self._arrange()

    def _arrange(self) -> None:
        about: dict[tuple[str, str], tuple[Grant, ...]] = {}
        for _, grant in self._known.values():
            if grant.text:
                about[grant.agent, grant.tool] = (*about.get((grant.agent, grant.tool), ()), grant)
        self._about = about
