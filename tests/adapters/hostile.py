"""A server that misbehaves on purpose, on raw sockets, and remembers every byte that it was sent.

No HTTP library stands between a test and the wire, so what is recorded is what really left the client, and what is
answered may be anything at all. A server runs one *script* per connection, in a thread of its own, so it works for
tests of any kind (asyncio, threads, other processes):

    with HostileServer(answers(b"ok")) as server:
        ...                                  # talk to server.origin
    assert server.requests[0].target == b"/v1/refunds"

A script is a function of one `Connection`; everything below `# --- scripts` makes one. Listens on 127.0.0.1 only.
"""

import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Self

from tests.processes import PATIENCE_SECONDS

SOON = PATIENCE_SECONDS
"""Seconds after which a script that waits for a client gives up, so that no test can hang for ever."""

Headers = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request, exactly as it arrived."""

    raw: bytes
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    """Names as sent, values without the white space around them."""
    body: bytes
    connection: int

    def all(self, name: str) -> list[bytes]:
        return [value for found, value in self.headers if found.lower() == name.lower().encode()]


class Gone(Exception):
    """The client hung up."""


class Connection:
    """One accepted connection, for a script to treat badly."""

    def __init__(self, server: "HostileServer", peer: socket.socket, number: int) -> None:
        self.server, self.number = server, number
        self._peer = peer
        self._unread = b""
        self._raw = b""

    def read_head(self) -> bytes | None:
        """Up to and with the empty line; None if the client hung up before that."""
        try:
            while b"\r\n\r\n" not in self._unread:
                self._receive()
        except Gone:
            return None
        return self._take(self._unread.index(b"\r\n\r\n") + 4)

    def read_body(self, head: bytes) -> bytes:
        fields = {name.lower(): value for name, value in parse_headers(head)}
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            return b"".join(iter(self._chunk, b""))
        return self._exactly(int(fields.get(b"content-length", b"0")))

    def read_request(self) -> Recorded | None:
        """The next whole request, recorded; None if there is none."""
        self._raw = b""
        head = self.read_head()
        if head is None:
            return None
        try:
            body = self.read_body(head)
        except Gone:
            self.record(head, b"")
            return None
        return self.record(head, body)

    def record(self, head: bytes, body: bytes) -> Recorded:
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        recorded = Recorded(self._raw, method, target, parse_headers(head), body, self.number)
        self.server.requests.append(recorded)
        return recorded

    def send(self, data: bytes) -> None:
        try:
            self._peer.sendall(data)
        except OSError:
            raise Gone from None

    def reset(self) -> None:
        """RST instead of FIN."""
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._peer.close()

    def hold(self, seconds: float = SOON) -> None:
        """Do nothing at all, until the test is over."""
        self.server.over.wait(seconds)

    def _receive(self) -> None:
        try:
            data = self._peer.recv(65536)
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        self.server.received[self.number] += data
        self._unread += data

    def _take(self, length: int) -> bytes:
        taken, self._unread = self._unread[:length], self._unread[length:]
        self._raw += taken
        return taken

    def _exactly(self, length: int) -> bytes:
        while len(self._unread) < length:
            self._receive()
        return self._take(length)

    def _chunk(self) -> bytes:
        while b"\r\n" not in self._unread:
            self._receive()
        size = int(self._take(self._unread.index(b"\r\n") + 2).split(b";")[0], 16)
        return self._exactly(size + 2)[:-2]


Script = Callable[[Connection], object]


class HostileServer:
    """Accepts until the `with` block ends. Each connection gets the next script; the last one repeats."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Recorded] = []
        """Every request of which the head arrived, in order."""
        self.received: dict[int, bytes] = {}
        """Every byte of every connection, by its number."""
        self.over = threading.Event()
        self._scripts, self._tls = scripts, tls
        self._threads: list[threading.Thread] = []
        self._peers: list[socket.socket] = []
        self._listener = socket.create_server((host, 0), backlog=128)
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.received)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for peer in self._peers:
            with suppress(OSError):  # it is gone already
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(2 * SOON)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        for number in count():
            while True:
                if self.over.is_set():
                    return
                try:
                    peer, _ = self._listener.accept()
                    self._peers.append(peer)
                    break
                except TimeoutError:
                    continue
            self.received[number] = b""
            self._start(self._serve, peer, number)

    def _serve(self, peer: socket.socket, number: int) -> None:
        peer.settimeout(SOON)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._tls is not None:
                peer = self._tls.wrap_socket(peer, server_side=True)
            self._scripts[min(number, len(self._scripts) - 1)](Connection(self, peer, number))
        except (Gone, OSError):
            pass
        finally:
            peer.close()


def parse_headers(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    lines = head.split(b"\r\n")[1:]
    return tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines if line))


def response(body: bytes = b"", status: str = "200 OK", headers: Headers = (), length: int | None = None) -> bytes:
    """A whole response; `length` lies about the body, -1 leaves the header out."""
    lines = [b"HTTP/1.1 " + status.encode()]
    lines += [
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in headers
    ]
    if length != -1:
        lines.append(b"content-length: %d" % (len(body) if length is None else length))
    return b"\r\n".join([*lines, b"", body])


# --- scripts ----------------------------------------------------------------------------------------------------


def answers(body: bytes = b"", status: str = "200 OK", headers: Headers = ()) -> Script:
    """The one that behaves: answers every request and keeps the connection open."""
    return says(response(body, status, headers))


def says(*pieces: bytes, then: str = "serve", pause: float = 0.0) -> Script:
    """Reads a request, sends these bytes whatever they are, and then serves | closes | resets | holds."""

    def script(connection: Connection) -> None:
        while connection.read_request():
            for piece in pieces:
                connection.send(piece)
                if pause:
                    connection.hold(pause)
            if then == "reset":
                connection.reset()
            elif then == "hold":
                connection.hold()
            if then != "serve":
                return

    return script


def resets_at_once(connection: Connection) -> None:
    """Accepts, reads nothing, sends RST."""
    connection.reset()


def closes_at_once(connection: Connection) -> None:
    connection.close()


def resets_in_the_body(connection: Connection) -> None:
    """Reads the head and RSTs, with the body on its way."""
    connection.read_head()
    connection.reset()


def resets_after_reading() -> Script:
    """Peer failure 28: the request is there, whole; then RST."""
    return says(then="reset")


def closes_after_reading() -> Script:
    return says(then="close")


def stalls_at_head() -> Script:
    """Reads the request and never says a word."""
    return says(then="hold")


def stalls_at_body(first: bytes = b"", length: int = 100) -> Script:
    """A head, the first bytes of the body, and silence."""
    return says(response(first, length=length), then="hold")


def truncates(body: bytes, length: int) -> Script:
    """Promises `length` bytes, sends fewer, closes."""
    return says(response(body, length=length), then="close")


def says_too_much(body: bytes, extra: bytes) -> Script:
    """More bytes than its Content-Length says: the rest would be the next answer on this connection."""
    return says(response(body) + extra)


def speaks_garbage() -> Script:
    return says(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", then="close")


def has_huge_headers(size: int) -> Script:
    return answers(b"ok", headers=[("x-huge", "h" * size)])


def chunked(parts: Iterable[bytes], trailers: Headers = (), *, whole: bool = True, pause: float = 0.0) -> Script:
    """A chunked body, with trailers if there are any; not whole: the last chunk never comes."""
    pieces = [response(headers=[("transfer-encoding", "chunked")], length=-1)]
    pieces += [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    ending = b"".join(name.encode() + b": " + str(value).encode() + b"\r\n" for name, value in trailers)
    pieces += [b"0\r\n" + ending + b"\r\n"] if whole else []
    return says(*pieces, then="serve" if whole else "close", pause=pause)


def continues_first(body: bytes) -> Script:
    """Interim responses before the real one."""
    return says(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", response(body))


def answers_early(body: bytes, *, then: str) -> Script:
    """Answers when the head is there, while the body is still being sent; then reads on, or resets."""

    def script(connection: Connection) -> None:
        while head := connection.read_head():
            connection.send(response(body, "413 Content Too Large"))
            connection.record(head, b"")
            if then == "reset":
                connection.reset()
            connection.read_body(head)

    return script


def closes_idle(body: bytes, after: float) -> Script:
    """Says keep-alive, and closes all the same some time after its answer: the race of every connection pool."""

    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.send(response(body, headers=[("connection", "keep-alive")]))
            connection.hold(after)

    return script


def redirects(location: str) -> Script:
    return answers(b"moved", "302 Found", [("location", location)])


def sets_cookie(cookie: str) -> Script:
    return answers(b"ok", headers=[("set-cookie", cookie)])


def zips(body: bytes, coding: str = "gzip") -> Script:
    return answers(gzip.compress(body), headers=[("content-encoding", coding)])
