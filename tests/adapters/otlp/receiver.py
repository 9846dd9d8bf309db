"""A trace collector for tests: real HTTP, real protobuf, and every way in which real collectors misbehave."""

import gzip
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Answer = tuple[int, dict[str, str], bytes]
PROTOBUF = {"content-type": "application/x-protobuf"}
YES: Answer = (200, PROTOBUF, ExportTraceServiceResponse().SerializeToString())


def partial(rejected: int, message: str = "") -> Answer:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return 200, PROTOBUF, answer.SerializeToString()


class Receiver:
    """Keeps the spans of every request it says yes to. `judge` decides what it says; None hangs up without a word."""

    def __init__(self) -> None:
        self.judge: Callable[[list], Answer | None] = lambda spans: YES
        self.spans: list = []
        self.resources: list[dict[str, str]] = []
        self.scopes: list[tuple[str, str]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [span.span_id.hex() for span in self.spans]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        self.requests.append((path, headers))
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        request = ExportTraceServiceRequest.FromString(plain)
        spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        answer = self.judge(spans)
        if answer is not None and answer == YES:
            self.spans += spans
            for group in request.resource_spans:
                self.resources.append({pair.key: pair.value.string_value for pair in group.resource.attributes})
                self.scopes += [(scope.scope.name, scope.schema_url) for scope in group.scope_spans]
        return answer


@contextmanager
def receiving(known: Receiver | None = None, port: int = 0):
    receiver = known or Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = receiver.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            with suppress(BrokenPipeError):  # who waited for a stalled answer has gone
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *rest):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
