"""An HTTP server in a thread, for the two services on stage that receive POSTs: the approver and the collector.

Standard library only: they stand for other people's software, which would not have our dependencies.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Receive = Callable[[Mapping[str, str], bytes], tuple[int, str, bytes]]
"""Lower-case headers (and `:path`) and body in; status, content type and body out. Runs in a thread per connection."""


@contextmanager
def listening(receive: Receive) -> Iterator[str]:
    """The URL at which `receive` is called, on a free port of 127.0.0.1, until the block ends."""
    server = _Server(("127.0.0.1", 0), _handler(receive))
    server.daemon_threads = True  # an idle keep-alive connection must not keep the demo from ending
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Only what is our fault: a sender may close its connection as it likes."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # typeshed's private type


def _handler(receive: Receive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content_type, answer = receive(
                {":path": self.path} | {k.lower(): v for k, v in self.headers.items()}, body
            )
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Silent: the transcript says what matters."""

    return Handler
