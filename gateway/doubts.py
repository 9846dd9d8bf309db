"""Says that a call is in doubt: when that is written, and again each hour, until a person settles it.

A doubt costs nothing but attention, so it must get some: by name, at once, with the page that says what to do. It
decides nothing.
"""

import logging

from gateway.core.facts import Lost
from gateway.core.lifecycle import Finish, next_step
from gateway.core.record import Record
from gateway.core.routes import Routes
from gateway.life import Life

log = logging.getLogger("gateway.doubts")


def in_doubt(record: Record | None, now: int, today: str) -> Lost | None:
    """Why a person has to find out what happened; None if that is known, or the gateway itself tries again."""
    if record is None or not record.doubts:
        return None
    step = next_step(record, now=now, me="", today=today)
    return step.outcome if isinstance(step, Finish) and isinstance(step.outcome, Lost) else None


def tell_new_doubt(life: Life, now: int) -> None:
    """Warn if what was just written left the call in doubt. `life.base` is still what was there before."""
    today = life.generation.digest
    lost = in_doubt(life.record, now, today)
    if lost is not None and in_doubt(life.base, now, today) is None:
        tell_doubt(life.record, lost, life.generation.routes)


def tell_doubt(record: Record, lost: Lost, routes: Routes) -> None:
    """One line for the operator's log."""
    call, system = record.call, routes.systems.get(record.call.system)
    owner = f" ({call.system} belongs to {system.owner})" if system is not None else ""
    log.warning(
        "call %s of %s (%s) is in doubt: %s; an operator has to settle it%s, see docs/operations.md#settle-a-doubt",
        call.id, call.agent, call.tool, lost.error, owner,
    )  # fmt: skip
