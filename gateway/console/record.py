"""The record for people who look things up: search, one call's story, and calls as they happen.

    GET /record                    search; what is not sealed yet is found too, and says so
    GET /record/live               calls as they happen; `?paused` holds still
    GET /record/{call}             one story: as a picture, in words, fact by fact; `?verify` proves it now
    GET /record/{call}/receipt     a file that proves it to somebody who has neither the log nor trust in us

For whoever may read `GET /calls`: approvers, operators and auditors. It shows what facts carry and nothing else, so it
needs no payload and decides nothing; there is no form here but that of the search.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.drawing import TONES
from gateway.console.feed import MOST_SHOWN, Feed
from gateway.console.finding import Finding
from gateway.console.guard import guarded
from gateway.console.live import ANYTHING
from gateway.console.other_facts import OtherFacts
from gateway.console.rendering import page
from gateway.console.sealed import Sealed, SealedLog
from gateway.console.searching import STATES, OddQuery, Wanted, wanted
from gateway.console.sessions import Session
from gateway.console.story import Leaf, is_whole, story
from gateway.core.codec import UnreadableFact
from gateway.core.facts import Fact, Recorded
from gateway.core.leaf import NotALeaf
from gateway.core.routes import Routes
from gateway.core.story import Erasure
from gateway.errors.base import shortened
from gateway.ledger.evidence import NotThere
from gateway.ledger.files import Damaged

NAME = re.compile(r"[0-9a-zA-Z-]{1,64}")
"""Of what there may be a receipt."""

Shows = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Journal(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...
    def now(self) -> int: ...


class Unproven(Exception):
    """Something of it is not as it must be; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Of one call."""

    facts: Sequence[Fact]
    """Empty if there is no such call here."""
    leaves: Mapping[int, Leaf]
    sealed: Sealed | None
    odd: tuple[str, ...]
    """What is wrong with the record of it, in sentences."""
    elsewhere: str
    """Where what is sealed of it is, if not here, in a sentence."""
    erasures: Sequence[Erasure]
    """Of copies that were kept of it."""


@dataclass(frozen=True, slots=True)
class RecordPages:
    finding: Finding
    feed: Feed
    journal: Journal
    routes_of_today: Callable[[], Routes]
    log: SealedLog | None = None
    """None: this host has none."""
    receipt: Callable[[str], bytes] | None = None
    """Of a call or grant that is in that log. Raises NotThere, Damaged, Unproven. Work for a thread."""

    def routes(self, for_people: Callable[[Shows], Endpoint]) -> list[Route]:
        return [
            Route("/record", for_people(self.search)),
            Route("/record/live", for_people(self.live)),
            *(OtherFacts(self.log).routes(for_people) if self.log else []),
            Route("/record/{call}", for_people(self.show)),
            Route("/record/{call}/receipt", for_people(self.download)),
        ]

    async def search(self, request: Request, session: Session) -> Response:
        told, odd = Wanted(), ""
        try:
            told = wanted(request.query_params)
        except OddQuery as error:
            odd = f"Nothing was searched: {error}."
        found = None if odd else await self.finding.find(told, request.query_params.get("before", ""))
        return page(
            "record.html", 400 if odd else 200, session=session, wanted=told, fields=told.form(), states=STATES,
            found=found, odd=odd, now=self.journal.now(),
        )  # fmt: skip

    async def live(self, request: Request, session: Session) -> Response:
        rows = await self.feed.rows()
        template = "record_feed.html" if request.query_params.get("part") == "feed" else "record_live.html"
        return page(
            template, session=session, rows=rows, paused="paused" in request.query_params, now=self.journal.now(),
            most=MOST_SHOWN, watch=ANYTHING,
        )  # fmt: skip

    async def show(self, request: Request, session: Session) -> Response:
        call = request.path_params["call"]
        found = await self._found(call)
        if not found.facts:
            return _nothing(call, found.elsewhere or " ".join(found.odd))
        told = story(found.facts, found.leaves, self.routes_of_today(), now=self.journal.now(), erasures=found.erasures)
        proof = None
        if self.log and found.sealed and "verify" in request.query_params:
            proof = await self.log.prove(found.sealed)
        return page(
            "record_call.html", session=session, story=told, tones=TONES, proof=proof, odd=found.odd,
            elsewhere=found.elsewhere, sealed=len(found.leaves), left=told.unsealed, path=f"/record/{call}",
            key=str(self.log.verifier) if self.log else "", receipt_name=f"{call}.receipt.json",
            unsealed="sealed elsewhere" if found.elsewhere else "not sealed yet",
        )  # fmt: skip

    async def download(self, request: Request, _: Session) -> Response:
        call = request.path_params["call"]
        if self.receipt is None or not NAME.fullmatch(call):
            return _nothing(call, "")
        try:
            content = await asyncio.to_thread(self.receipt, call)
        except NotThere as error:
            return _nothing(call, str(error))
        except (Damaged, Unproven) as no:
            said = f"No receipt is written, because this is not proven: {no}"
            return page("mistake.html", 409, title="It cannot be proven", said=said)
        headers = {"content-disposition": f'attachment; filename="{call}.receipt.json"'}
        return guarded(Response(content, media_type="application/json", headers=headers))

    async def _found(self, call: str) -> _Found:
        """What the journal and the log have of it; the journal's word first, for it has what is not sealed yet."""
        facts = await self.journal.facts(call)
        sealed, odd = None, []
        erasures: tuple[Erasure, ...] = ()
        try:
            sealed = await self.log.of(call) if self.log else None
            erasures = await self.log.erasures(call) if self.log and _has_copies(facts, sealed) else ()
        except (Damaged, NotALeaf, UnreadableFact) as error:
            odd.append(f"The sealed log cannot be read here: {error}.")
        leaves = sealed.leaves if sealed else {}
        if sealed and not facts:
            facts = list(sealed.facts)
        for place, told in enumerate(sealed.facts if sealed else ()):
            if place < len(facts) and facts[place] != told:
                odd.append(f"Fact {place + 1} is not the same in the journal and in the sealed log. The log is right.")
                facts[place] = told
        missing = not odd and (len(leaves) < len(facts) or not facts)
        elsewhere = await self.finding.where(call) if missing else ""
        return _Found(facts if is_whole(facts) else [], leaves, sealed, tuple(odd), elsewhere, erasures)


def _nothing(call: str, why: str) -> Response:
    """There is no such page. `why`: in sentences, if something is known."""
    typed = shortened(call, 60)
    said = why or f"No call in the record has the id {typed!r}. If that is how one begins, the search finds it."
    onward = f"/record?{urlencode({'call': typed})}"
    return page("mistake.html", 404, title="The record has nothing under this id", said=said, onward=onward)


def _has_copies(facts: Sequence[Fact], sealed: Sealed | None) -> bool:
    """Whether it says that copies are kept: of no other call an erasure is looked for."""
    return any(isinstance(fact, Recorded) for fact in (*facts, *(sealed.facts if sealed else ())))
