"""What waits for people, as the control plane shows it: a page of the list, and one question whole.

A list may be of 100,000, so a page costs what is on it, whatever waits behind it. Nothing here decides: what is no
longer held is left out, and what can no longer be admitted says so instead of its arguments.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from gateway import control_errors
from gateway.adapters.redis.held import HeldCalls, Place
from gateway.core import timeline
from gateway.core.admit import Inadmissible
from gateway.core.alike import same_question
from gateway.core.insights import KEPT_DAYS
from gateway.core.notices import arguments, discreet, summary, told_picture
from gateway.doors.control_documents import pending, reasons
from gateway.engine import Engine
from gateway.judging import admission_of
from gateway.life import Life
from gateway.previewing import pictures_of
from gateway.viewing import View, opened

MOST = 100
"""Questions on a page: what a person can look through, and what is read within some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Waiting:
    engine: Engine
    held: HeldCalls

    async def page(self, query: QueryParams) -> dict[str, Any]:
        """The questions that end soonest, behind the place `after`, and where the next page begins.

        Raises InvalidQuery or JournalUnavailable.
        """
        limit, after = _asked_for(query)
        places = await self.held.page(limit, after)
        lives = await asyncio.gather(*(self.engine.load(place.call) for place in places))
        held = [life for life in lives if life is not None and timeline.state(life.record) == "held"]
        shown = await asyncio.gather(*(self._brief(life) for life in held))
        following = f"{places[-1].until}-{places[-1].call}" if len(places) == limit else None
        return {"approvals": shown, "waiting": await self.held.count(), "next": following}

    async def whole(self, call: str, by: str, *, shows: bool = True) -> dict[str, Any]:
        """One question, with everything that whoever decides it must see, once it is written that `by` sees it; unless
        nobody is shown anything. Raises UnknownCall or JournalUnavailable."""
        view = await opened(self.engine, call, by=by, via="token") if shows else await _closed(self.engine, call)
        if view is None:
            raise control_errors.UnknownCall(call)
        life = view.life
        record, judged = life.record, life.record.judged
        agent = life.generation.routes.agents.get(record.call.agent)
        told = await self._brief(life, whole=True) | {
            "state": timeline.state(record),
            "owner": agent.owner if agent is not None else None,
            "user": record.call.user,
            "run": record.call.run,
            "digest": judged.fingerprint if judged is not None else record.call.fingerprint,
            "policies": reasons(record),
            "preview": [told_picture(picture) for picture in await pictures_of(life, self.engine.journal)],
        }
        if view.hidden:
            return told | {"summary": view.hidden, "input": None, "preview": []}
        try:
            return told | {"input": dict(arguments(await admission_of(life, self.engine.journal)))}
        except Inadmissible:
            return told | {"input": None}  # `summary` says why

    async def _brief(self, life: Life, *, whole: bool = False) -> dict[str, Any]:
        """A question as it stands in a list, where the mask of its tool covers arguments; or as a person sees it."""
        told: dict[str, Any]
        try:
            admission = await admission_of(life, self.engine.journal)
            line = summary(admission if whole else discreet(admission))
            told = {"summary": line, "same_as": same_question(life.record, admission)}
            told |= {"resource": admission.call.resource}  # an edit may have changed it
        except Inadmissible as no:
            told = {"summary": no.reason, "same_as": None}
        return pending(life.record, self.engine.journal.now()) | told


async def _closed(engine: Engine, call: str) -> View | None:
    """For whoever asks whether there is such a call, and is shown nothing."""
    life = await engine.load(call)
    return None if life is None else View(life, "nothing was asked for")


def _asked_for(query: QueryParams) -> tuple[int, Place | None]:
    limit, after = query.get("limit", str(MOST)), query.get("after", "")
    if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= MOST:
        raise control_errors.InvalidQuery(f"`limit` must be a number from 1 to {MOST}")
    found = re.fullmatch(r"([0-9]{1,15})-([0-9a-f]{2,64})", after)
    if after and not found:
        raise control_errors.InvalidQuery("`after` must be the `next` of another page")
    return int(limit), Place(int(found[1]), found[2]) if found else None


def days_of(query: QueryParams) -> int:
    """How far back numbers are asked for. Raises InvalidQuery."""
    days = query.get("days", str(KEPT_DAYS))
    if not re.fullmatch(r"[0-9]{1,3}", days) or not 1 <= int(days) <= KEPT_DAYS:
        raise control_errors.InvalidQuery(f"`days` must be a number from 1 to {KEPT_DAYS}")
    return int(days)
