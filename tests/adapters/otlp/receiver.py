"""A trace collector for tests: real HTTP, real protobuf, and every way in which real collectors misbehave."""

import gzip
import ssl
import threading
import zlib
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PLAIN: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}
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
        self.metrics: list[dict] = []
        """What each request about metrics told, by name."""
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [span.span_id.hex() for span in self.spans]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        self.requests.append((path, headers))
        plain = PLAIN[headers.get("content-encoding", "")](body)
        if path.endswith("/v1/metrics"):
            return self.take_metrics(plain)
        request = ExportTraceServiceRequest.FromString(plain)
        spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        answer = self.judge(spans)
        if answer is not None and answer == YES:
            self.spans += spans
            for group in request.resource_spans:
                self.resources.append({pair.key: pair.value.string_value for pair in group.resource.attributes})
                self.scopes += [(scope.scope.name, scope.schema_url) for scope in group.scope_spans]
        return answer

    def take_metrics(self, plain: bytes) -> Answer | None:
        answer = self.judge([])
        if answer is not None and answer == YES:
            request = ExportMetricsServiceRequest.FromString(plain)
            for group in request.resource_metrics:
                self.resources.append({pair.key: pair.value.string_value for pair in group.resource.attributes})
                for scope in group.scope_metrics:
                    self.metrics.append({metric.name: metric for metric in scope.metrics})
        return answer


@contextmanager
def receiving(known: Receiver | None = None, port: int = 0, tls: ssl.SSLContext | None = None):
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
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
