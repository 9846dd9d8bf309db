"""A system of record under the test's control: what it answers, when, and every byte that it was sent.

It stands on the raw sockets of `tests.adapters.hostile`, so what is recorded is what really left the gateway, and
what is answered may be anything at all. Tests share one server and do not disturb each other: a test puts a marker
(`fresh("pay")`) into its requests, and says what happens to requests that contain it.

    marker = fresh("pay")
    upstream.will(marker, resets(), answer(200, {"id": "pay_1"}))    # the last one repeats
    ...
    assert len(upstream.seen(marker)) == 2

Without a script a request is answered 200 with a JSON object that tells how often its marker-less target was asked.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from tests.adapters.hostile import Connection, Headers, HostileServer, Recorded, response
from tests.processes import PATIENCE_SECONDS

Reaction = Callable[[Connection, Recorded], object]
"""What to do with one request. Returning False ends the connection."""

PATIENCE = PATIENCE_SECONDS
"""Seconds after which a reaction that waits for its test gives up, so that nothing hangs for ever."""


def fresh(word: str) -> str:
    """A marker that no other test uses: letters and digits only, so that it stands unescaped anywhere."""
    return f"{word}{uuid.uuid4().hex[:12]}"


class ScriptedUpstream(HostileServer):
    """Answers by marker."""

    def __init__(self) -> None:
        super().__init__(self._serve_connection)
        self._plans: dict[str, list[Reaction]] = {}
        self._lock = threading.Lock()
        self._numbers = count(1)

    def will(self, marker: str, *reactions: Reaction) -> None:
        """The first request with the marker meets the first reaction, and so on; the last one repeats."""
        with self._lock:
            self._plans[marker] = list(reactions)

    def seen(self, marker: str) -> list[Recorded]:
        """Every request, in order, that contains the marker anywhere."""
        return [request for request in list(self.requests) if marker.encode() in request.raw]

    def effects(self, marker: str) -> list[str]:
        """The idempotency keys of all its requests that are not reads; empty text where there is none."""
        keys = [request.all("idempotency-key") for request in self.seen(marker) if request.method != b"GET"]
        return [found[0].decode() if found else "" for found in keys]

    def _serve_connection(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            if self._reaction(request)(connection, request) is False:
                return

    def _reaction(self, request: Recorded) -> Reaction:
        with self._lock:
            for marker, reactions in self._plans.items():
                if marker.encode() in request.raw:
                    return reactions.pop(0) if len(reactions) > 1 else reactions[0]
        return answer(200, {"number": next(self._numbers)})


def body_of(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def answer(status: int = 200, value: object = b"", headers: Headers = (), *, reason: str = "Whatever") -> Reaction:
    """A well-formed answer; anything but bytes and text becomes JSON."""
    named = [*headers]
    if not isinstance(value, bytes) and not any(name.lower() == "content-type" for name, _ in named):
        named.append(("content-type", "application/json"))
    bodyless = status in (204, 304)
    raw = response(b"" if bodyless else body_of(value), f"{status} {reason}", named, length=-1 if bodyless else None)
    return sends(raw)


def sends(*pieces: bytes, then: str = "serve") -> Reaction:
    """These bytes, whatever they are; then serve | close | reset | hold."""

    def reaction(connection: Connection, _: Recorded) -> bool:
        for piece in pieces:
            connection.send(piece)
        match then:
            case "close":
                return False
            case "reset":
                connection.reset()
                return False
            case "hold":
                connection.hold(PATIENCE)
                return False
        return True

    return reaction


def resets() -> Reaction:
    """The request is there, whole; then RST instead of an answer."""
    return sends(then="reset")


def drops() -> Reaction:
    return sends(then="close")


def stalls() -> Reaction:
    """Never says a word."""
    return sends(then="hold")


def truncates(body: bytes, length: int) -> Reaction:
    return sends(response(body, length=length), then="close")


def echoes_head() -> Reaction:
    """Answers a HEAD: a length, and no body."""
    return sends(response(b"", headers=[("content-type", "application/json")], length=1234))


def after(event: threading.Event, then: Reaction) -> Reaction:
    """Waits for the test to say so; then reacts."""

    def reaction(connection: Connection, request: Recorded) -> object:
        event.wait(PATIENCE)
        return then(connection, request)

    return reaction


def streams(content_type: str, parts: Sequence[tuple[threading.Event | None, bytes]]) -> Reaction:
    """A chunked body, each part as soon as its event is set."""

    def reaction(connection: Connection, _: Recorded) -> None:
        connection.send(response(headers=[("content-type", content_type), ("transfer-encoding", "chunked")], length=-1))
        for event, part in parts:
            if event is not None:
                event.wait(PATIENCE)
            connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")

    return reaction


def pours(total: int, headers: Iterable[tuple[str, str]] = ()) -> Reaction:
    """A large body with its length."""

    def reaction(connection: Connection, request: Recorded) -> None:
        connection.send(response(headers=[("content-type", "application/octet-stream"), *headers], length=total))
        block = bytes(range(256)) * 256
        for _ in range(total // len(block)):
            connection.send(block)

    return reaction
