"""Calls as text for a terminal, read straight from the journal: for whoever may read it on the gateway's host."""

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.facts import Fact, Judged
from gateway.core.lifecycle import recall
from gateway.core.timeline import line, state
from gateway.core.times import iso, span
from gateway.ports import JournalUnavailable


class NothingToShow(Exception):
    """A sentence about why there is nothing."""


async def recent(url: str, limit: int) -> list[str]:
    """One line per call, newest first."""
    journal = RedisJournal.open(url)
    try:
        rows = ["CALL                      BEGUN                 STATE        AGENT            TOOL"]
        for call in await RedisLedger(journal).recent(limit):
            facts = await journal.facts(call)
            if facts:
                record = recall(facts)
                rows.append(
                    f"{call}  {iso(facts[0].at)}  {state(record):<11}  {record.call.agent:<15}  {record.call.tool}"
                )
    except JournalUnavailable as error:
        raise NothingToShow(f"The journal cannot be read: {error}. Is the gateway running with this --data?") from error
    finally:
        await journal.close()
    return rows if len(rows) > 1 else ["No calls yet."]


async def story(url: str, call: str) -> list[str]:
    """The timeline of one call."""
    journal = RedisJournal.open(url)
    try:
        facts = await journal.facts(call)
    except JournalUnavailable as error:
        raise NothingToShow(f"The journal cannot be read: {error}. Is the gateway running with this --data?") from error
    finally:
        await journal.close()
    if not facts:
        raise NothingToShow(f"There is no call {call!r} in this journal; `gateway calls` lists the last ones.")
    record = recall(facts)
    head = [
        f"Call {call}: {state(record)}",
        f"  {record.call.agent} -> {record.call.tool} {record.call.resource}".rstrip(),
        f"  fingerprint {record.call.fingerprint}",
    ]
    return [*head, "", *(_row(fact, facts[0].at) for fact in facts), *_generations(facts)]


def _row(fact: Fact, begun: int) -> str:
    return f"  {iso(fact.at)}  +{span(fact.at - begun):<7} {type(fact).__name__:<10} {line(fact)}"


def _generations(facts: list[Fact]) -> list[str]:
    names = dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged))
    return ["", *(f"  judged under generation {name}" for name in names)]
