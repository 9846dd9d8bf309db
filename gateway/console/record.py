"""The record for people who look things up: search, one call's story, and calls as they happen.

    GET /record                    search; what is not sealed yet is found too, and says so
    GET /record/live               calls as they happen; `?paused` holds still
    GET /record/{call}             one story: in words, as a picture, fact by fact

For whoever may read `GET /calls`: approvers, operators and auditors. It shows what facts carry and nothing else, so it
needs no payload and decides nothing; there is no form here but that of the search.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import control_errors
from gateway.console.drawing import TONES
from gateway.console.feed import MOST_SHOWN, Feed
from gateway.console.finding import Finding
from gateway.console.live import ANYTHING
from gateway.console.rendering import page
from gateway.console.searching import STATES, OddQuery, Wanted, wanted
from gateway.console.sessions import Session
from gateway.console.story import Leaf, is_whole, story
from gateway.core.facts import Fact
from gateway.core.routes import Routes

Shows = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Journal(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...
    def now(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RecordPages:
    finding: Finding
    feed: Feed
    journal: Journal
    routes_of_today: Callable[[], Routes]

    def routes(self, for_people: Callable[[Shows], Endpoint]) -> list[Route]:
        return [
            Route("/record", for_people(self.search)),
            Route("/record/live", for_people(self.live)),
            Route("/record/{call}", for_people(self.show)),
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
        facts: Sequence[Fact] = await self.journal.facts(call)
        leaves: dict[int, Leaf] = {}
        if not is_whole(facts):
            raise control_errors.UnknownCall(call)
        told = story(facts, leaves, self.routes_of_today(), now=self.journal.now())
        return page("record_call.html", session=session, story=told, tones=TONES)
