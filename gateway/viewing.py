"""Showing a person what a call would do: its arguments are decrypted for them, and that is a fact.

No record, no disclosure: whoever cannot be written down as having seen it does not see it, and a sentence says why.
A person is written down once for each state of the call that they saw, and not where there is nothing left to be seen:
the record must not say of somebody that they read what was destroyed. This never stands in the way of a decision: it
changes nothing that one is weighed by.
"""

from dataclasses import dataclass

from gateway.core.admit import Inadmissible
from gateway.core.facts import Viewed
from gateway.engine import Engine
from gateway.judging import admission_of
from gateway.life import Life
from gateway.ports import Conflict, JournalUnavailable

UNSEEN = (
    "The arguments are not shown, because the journal cannot record that you saw them ({why}). Try again in a moment."
)


@dataclass(frozen=True, slots=True)
class View:
    """A call as a person opened it."""

    life: Life
    hidden: str = ""
    """Why its arguments must not be shown; empty if they may be."""


async def opened(engine: Engine, call: str, *, by: str, via: str) -> View | None:
    """The call, once it is written that this person sees it. None if there is none. Raises JournalUnavailable if it
    cannot even be read."""
    while True:
        life = await engine.load(call)
        if life is None:
            return None
        seen = life.record.judged.fingerprint if life.record.judged else life.record.call.fingerprint
        if any(isinstance(fact, Viewed) and (fact.by, fact.fingerprint) == (by, seen) for fact in life.facts):
            return View(life)
        if not (await engine.journal.payload(call)).get("request"):
            return View(
                life, await _why_not(engine, life)
            )  # also if it can be read in a moment: nobody is written down
        life.add(Viewed(by=by, via=via, fingerprint=seen, at=engine.journal.now()))
        try:
            await engine.flush(life)
        except Conflict:
            continue
        except JournalUnavailable as error:
            unwritten = await engine.load(call)
            return None if unwritten is None else View(unwritten, UNSEEN.format(why=error))
        return View(life)


async def _why_not(engine: Engine, life: Life) -> str:
    """Why there is nothing to be shown, in the words of whoever would send it."""
    try:
        await admission_of(life, engine.journal)
    except Inadmissible as no:
        return no.reason
    return "The request could not be read. Open it again."
