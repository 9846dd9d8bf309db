"""A browser without a screen: httpx with a cookie jar, that reads forms and posts them as a browser would."""

import html
import re
from typing import Any

import httpx

from tests.gateway_process import eventually, token_of
from tests.gateway_world import World
from tests.processes import PATIENCE_SECONDS

FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Page:
    def __init__(self, scene: World, name: str = "", *, origin: str | None = None) -> None:
        self.control = scene.gateway.control
        self.origin = self.control if origin is None else origin
        client = httpx.Client(base_url=self.control, trust_env=False, timeout=PATIENCE_SECONDS)
        self.client = scene.clients.enter_context(client)
        if name:
            answer = self.sign_in(token_of(name))
            assert answer.status_code == 303, answer.text

    def sign_in(self, token: str, **more: str) -> httpx.Response:
        return self.post("/login", {"token": token, **more})

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"origin": self.origin} if self.origin else {}
        return self.client.post(path, data=fields, headers=given | named)

    def csrf(self) -> str:
        return fields(self.get("/inbox").text)["csrf"]

    def form(self, call: str, number: int = 0) -> dict[str, str]:
        """The hidden fields of a decision's form on a card."""
        found = re.findall(
            r'<form method="post" action="/inbox/\w+/decision".*?</form>', self.get(f"/inbox/{call}").text, re.DOTALL
        )
        return fields(found[number])

    def decide(self, call: str, decision: str, **more: str) -> httpx.Response:
        return self.post(f"/inbox/{call}/decision", self.form(call) | {"decision": decision} | more)

    def inbox(self) -> list[str]:
        """The calls that wait, in their order."""
        return re.findall(r'href="/inbox/(\w+)" data-row', self.get("/inbox").text)

    def ends(self, call: str, sentence: str) -> bool:
        """Wait until the card says so. The page itself waits for what comes of a decision only for a moment."""
        return bool(eventually(lambda: sentence in self.outcome(call), f"{sentence!r} is not on the card of {call}"))

    def outcome(self, call: str) -> str:
        found = re.search(r'<section id="live".*?</section>', self.get(f"/inbox/{call}").text, re.DOTALL)
        assert found
        return words(found[0])


def fields(text: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in FIELD.findall(text)}


def words(text: str) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
