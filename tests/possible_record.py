"""A sealed record whose every life can have happened, in several logs, interleaved: for tests of who verifies it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gateway.core.call import partition_of
from gateway.core.deployment import DEPLOYMENT, NAME, DeploymentFact, Loaded, LoadedFile
from gateway.core.facts import Admitted, Fact
from gateway.core.grants import Granted, GrantFact
from gateway.ledger.note import Signer
from tests.playbook import ALLOW, CALL, DENY, FINANCE, READ, TODAY, TOMORROW, answered, claimed
from tests.sealed_log import SIGNER, entry, write_log

START = 1_795_168_800_000
Append = tuple[str, int, Sequence[Fact | GrantFact | DeploymentFact]]
"""Whom it is about, how many facts were before, and its facts."""
LOADED = tuple(
    Loaded(generation=name, files=(LoadedFile(name="routes.yaml", sha256="9" * 64),), version="1.0")
    for name in (TODAY, TOMORROW)
)
AGENTS = ("billing-bot", "night-bot", "agent-3", "agent-4")
PARTITIONS = tuple(f"{partition_of(agent):02d}" for agent in AGENTS)


def of(life: Iterable[tuple[Fact, ...] | Fact], number: int, agent: str = AGENTS[0]) -> list[Append]:
    """The appends of one life, as call `number` of that agent."""
    name, found, position = f"{partition_of(agent):02d}{number:020x}", list[Append](), 0
    for append in life:
        facts = append if isinstance(append, tuple) else (append,)
        named = [
            replace(it, call=replace(it.call, id=name, agent=agent)) if isinstance(it, Admitted) else it for it in facts
        ]
        found.append((name, position, named))
        position += len(facts)
    return found


def granted(*by: str, number: int = 1) -> list[Append]:
    """A grant that these people gave."""
    name = f"grant-{PARTITIONS[0]}{number:022x}"
    fact = Granted(
        grant=name, agent=AGENTS[0], tool=CALL.tool, shape="x", requirement=FINANCE, until=START * 2, by="",
        via="token", call="c", fingerprint="f",
    )  # fmt: skip
    return [(name, place, (replace(fact, by=person),)) for place, person in enumerate(by)]


def deployment(*facts: DeploymentFact) -> list[Append]:
    return [(NAME, place, (fact,)) for place, fact in enumerate(facts)]


def log_of(name: str) -> str:
    return DEPLOYMENT if name == NAME else name[6:8] if name.startswith("grant-") else name[:2]


def leaves(appends: Iterable[Append], every_ms: int = 1000) -> dict[str, list[bytes]]:
    """By log, each append that many milliseconds after the one before."""
    logs: dict[str, list[bytes]] = {}
    for number, (name, position, facts) in enumerate(appends, 1):
        stamped = [replace(fact, at=START + every_ms * number) for fact in facts]
        logs.setdefault(log_of(name), []).extend(entry(every_ms * number, name, position, stamped))
    return logs


def write(ledger: Path, appends: Iterable[Append], signer: Signer = SIGNER, every_ms: int = 1000) -> Path:
    for partition, found in leaves(appends, every_ms).items():
        write_log(ledger, partition, found, signer)
    return ledger


EFFECT = ((Admitted(call=CALL), ALLOW, claimed("t1")), answered("t1"))
SAFE = ((Admitted(call=READ), ALLOW, answered("")),)
DENIED = ((Admitted(call=CALL), DENY),)


def small(calls: int = 4) -> list[Append]:
    """A few calls of several agents, interleaved, and what was loaded before them."""
    lives = [of((EFFECT, SAFE, DENIED)[n % 3], n, AGENTS[n % 2]) for n in range(calls)]
    turns = [life[turn] for turn in range(2) for life in lives if turn < len(life)]
    return [*deployment(*LOADED), *turns]
