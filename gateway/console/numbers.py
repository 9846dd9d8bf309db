"""The numbers about decisions as a page: what waits and for how long, how people decided, for which policies, who.

    GET /inbox/numbers?days=30

It shows what `GET /approvals/stats` answers, and computes nothing. A policy that is approved every time stands out:
people may have stopped looking, or it asks too much.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.rendering import page
from gateway.console.sessions import Session
from gateway.core.insights import KEPT_DAYS

TELLING = 20
"""Questions after which it says something that every one of them was approved."""
CHOICES = (1, 7, KEPT_DAYS)

Shows = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class NumberPages:
    report: Callable[[int], Awaitable[dict[str, Any]]]
    """`gateway.insights.Counting.report`, by whole days."""

    def routes(self, for_people: Callable[[Shows], Endpoint]) -> list[Route]:
        return [Route("/inbox/numbers", for_people(self.show))]

    async def show(self, request: Request, session: Session) -> Response:
        asked = request.query_params.get("days", "")
        days = int(asked) if asked.isascii() and asked.isdigit() and int(asked[:4]) in CHOICES else KEPT_DAYS
        told = await self.report(days)
        always = [item for item in told["policies"] if item["of"] >= TELLING and item["rate"] == 1.0]
        return page("numbers.html", session=session, told=told, days=days, choices=CHOICES, always=always)
