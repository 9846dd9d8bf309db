"""Calls as text for a terminal, read straight from the journal: for whoever may read it on the gateway's host.

It shows what the control plane shows, and needs no token because whoever may read the journal may know all of it
anyway. It must never write, and never need the payload.
"""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.facts import Fact, Judged
from gateway.core.record import Record, recall
from gateway.core.timeline import line, state, state_named
from gateway.core.times import iso, moment, since
from gateway.open_calls import STATES, OpenCalls
from gateway.ports import JournalUnavailable

COLOURS = {"answered": "green", "held": "yellow", "in doubt": "bold red", "unreachable": "red", "denied": "magenta"}
SHORTEST = 4
"""Characters of an id that may stand for the whole."""
LOOKED_THROUGH = 1000
"""Calls, the last ones, that the beginning of an id is looked for in; beside all that are not over."""


class NothingToShow(Exception):
    """A sentence about why there is nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One call in a list."""

    call: str
    begun: str
    state: str
    agent: str
    tool: str
    about: str
    """The resource, and who has to say yes while the call is held."""

    @property
    def cells(self) -> tuple[str, ...]:
        return self.call, self.begun, self.state, self.agent, self.tool, self.about


HEADINGS = Listed("CALL", "BEGUN", "STATE", "AGENT", "TOOL", "ABOUT")


@dataclass(frozen=True, slots=True)
class Story:
    """One call, whole."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, str, str, str], ...]
    """When, how long after the beginning, which fact, and what it says."""
    foot: tuple[str, ...]


async def recent(url: str, limit: int, state: str = "") -> list[Listed]:
    """The calls that something happened to last, or all open ones in that state; newest first. Raises NothingToShow."""
    if state and state_named(state) not in STATES:
        names = ", ".join(name.replace(" ", "-") for name in STATES)
        raise NothingToShow(f"No call that is not over stands as {state!r}, but as one of {names}.")
    journal = RedisJournal.open(url)
    found = []
    try:
        ledger = RedisLedger(journal)
        open_calls = OpenCalls(HeldCalls(journal), journal)
        for call in await open_calls.named(state_named(state), limit) if state else await ledger.recent(limit):
            facts = await journal.facts(call)
            if facts:
                found.append(_listed(recall(facts), facts[0].at))
    except JournalUnavailable as error:
        raise _unreadable(error) from error
    finally:
        await journal.close()
    return found


async def story(url: str, call: str) -> Story:
    """The timeline of one call, named by its id or by how that begins. Raises NothingToShow."""
    journal = RedisJournal.open(url)
    try:
        facts = await journal.facts(call)
        if not facts:
            call = await _whole(RedisLedger(journal), call)
            facts = await journal.facts(call)
    except JournalUnavailable as error:
        raise _unreadable(error) from error
    finally:
        await journal.close()
    if not facts:
        raise NothingToShow(f"There is no call {call!r} in this journal; `gateway calls` lists the last ones.")
    record = recall(facts)
    head = (
        f"Call {call}: {state(record)}",
        f"  {record.call.agent} -> {record.call.tool} {record.call.resource}".rstrip(),
        f"  fingerprint {record.call.fingerprint}",
    )
    rows = tuple(_row(fact, facts[0].at) for fact in facts)
    generations = dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged))
    return Story(head, rows, tuple(f"  judged under generation {name}" for name in generations))


async def _whole(ledger: RedisLedger, beginning: str) -> str:
    """The id that begins so, if it is one of the last or open calls and the only one; else what was given."""
    if len(beginning) < SHORTEST:
        return beginning
    known = dict.fromkeys([*await ledger.recent(LOOKED_THROUGH), *await ledger.unsettled()])
    found = [call for call in known if call.startswith(beginning)]
    if len(found) > 1:
        raise NothingToShow(
            f"{len(found)} calls begin with {beginning!r}, such as {found[0]} and {found[1]}: give more."
        )
    return found[0] if found else beginning


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose columns stand under each other; the last column is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def coloured(found: list[Listed]) -> Table:
    """The same for a person's terminal."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in HEADINGS.cells:
        table.add_column(heading, no_wrap=True)
    for item in found:
        table.add_row(*(Text(cell, COLOURS.get(cell, "")) if cell == item.state else Text(cell) for cell in item.cells))
    return table


def _unreadable(error: JournalUnavailable) -> NothingToShow:
    return NothingToShow(
        f"The journal cannot be read: {error}. Is the gateway running, and with this --data (or GATEWAY_REDIS_URL)?"
    )


def _listed(record: Record, begun: int) -> Listed:
    call, now = record.call, state(record)
    waits = sorted({item.group for item in record.judged.verdict.requirements}) if record.judged else []
    about = [call.resource, f"waits for {', '.join(waits)}" if now == "held" else ""]
    return Listed(call.id, iso(begun), now, call.agent, call.tool, ", ".join(filter(None, about)))


def _row(fact: Fact, begun: int) -> tuple[str, str, str, str]:
    return moment(fact.at), since(fact.at - begun), type(fact).__name__, line(fact)
