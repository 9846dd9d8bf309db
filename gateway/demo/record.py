"""What the system of record says: localstripe asked directly, past the gateway, under its own key.

Nobody else in the story holds that key but the gateway. Everything the transcript claims about money is checked here.
"""

import secrets
import socket
import sys
from dataclasses import dataclass, field
from typing import Any

import httpx

LAUNCHER = """
import socket, sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda store: None
web.run_app(server.app, sock=socket.socket(fileno=int(sys.argv[1])), access_log=None, print=None)
"""
"""localstripe's own command listens on every interface and pickles its data to /tmp after every write; neither has an
option. Run this way it is the same application, on the socket it is given, in memory."""


def new_key() -> str:
    """localstripe takes any key that begins with `sk_`."""
    return f"sk_test_{secrets.token_hex(12)}"


def open_socket() -> socket.socket:
    """A free port that is ours before localstripe starts: nobody can take it, and early requests wait in its queue."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    return listener


def command(listener: socket.socket) -> list[str]:
    return [sys.executable, "-c", LAUNCHER, str(listener.fileno())]


@dataclass(frozen=True, slots=True)
class Record:
    url: str
    key: str = field(repr=False)

    def create_charge(self, amount: int, description: str) -> str:
        """A paid order from before the story, so that there is something to refund."""
        form = {"amount": str(amount), "currency": "eur", "source": "pm_card_visa", "description": description}
        return str(self._ask("POST", "/v1/charges", form)["id"])

    def create_customer(self, email: str) -> str:
        return str(self._ask("POST", "/v1/customers", {"email": email})["id"])

    def has_customer(self, customer: str) -> bool:
        return self._ask("GET", f"/v1/customers/{customer}").get("id") == customer

    def refunds(self, charge: str) -> set[str]:
        """The ids of all refunds ever made of that charge."""
        page = self._ask("GET", f"/v1/refunds?charge={charge}&limit=100")
        ids = {str(refund["id"]) for refund in page["data"]}
        if page["total_count"] != len(ids):
            raise RuntimeError(f"localstripe counts {page['total_count']} refunds but lists {len(ids)}")
        return ids

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(trust_env=False, timeout=10.0) as client:
            answer = client.request(method, self.url + path, data=form, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
