"""Sends finished spans to an OpenTelemetry collector, once, and says what the collector made of them."""

from collections.abc import Sequence

from gateway.adapters.otlp import environment
from gateway.adapters.otlp.answers import Said
from gateway.adapters.otlp.encoding import encoded
from gateway.adapters.otlp.posting import Post
from gateway.core.spans import SpanValue


class Collector:
    """`encode` is pure work, for any thread; `send` takes OTEL_EXPORTER_OTLP_TIMEOUT seconds (10) at most."""

    def __init__(self) -> None:
        self._post = Post("TRACES")
        self._resource = environment.resource().attributes

    def encode(self, spans: Sequence[SpanValue]) -> bytes | None:
        """One request; None if there is something in these spans that cannot be sent at all."""
        try:
            return encoded(spans, self._resource)
        except ValueError:  # half a surrogate pair, in what no sieve stands before
            return None

    async def send(self, body: bytes | None) -> Said:
        if body is None:
            return Said("rejected", "these spans cannot be encoded")
        return await self._post.send(body)

    async def close(self) -> None:
        """Ends a running `send` early."""
        await self._post.close()
