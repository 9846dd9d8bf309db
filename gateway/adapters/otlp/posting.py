"""One OTLP request over HTTP, and what the collector made of it.

The SDK's exporters are not used for this: they (opentelemetry-exporter-otlp-proto-http 1.45.2, read and tested) call a
3xx a success, look at no body of a 2xx, in which a collector says how much it rejected, and wait for ever for an answer
that comes byte by byte. Here the time-out is that of the whole exchange, and nothing is tried twice: whoever posts
knows better when to come again. The standard OTEL_* variables mean what they mean elsewhere.
"""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import Callable

import httpx
from opentelemetry.util.re import parse_env_headers

from gateway import __version__
from gateway.adapters.otlp.answers import Answer, Said, said
from gateway.adapters.otlp.environment import DEFAULT_ENDPOINT, LOOPBACK, Signal, setting

LONGEST_ANSWER = 1_000_000
"""Bytes of an answer that are read; a collector's own is a few."""
FAST = 1
"""Level of compression: spans are so alike that a higher one saves little and costs five times as much."""
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, FAST),
    "deflate": lambda body: zlib.compress(body, FAST),
}


class Post:
    """To the collector that the variables name. Raises OSError if a certificate or a key cannot be read."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._url = _endpoint(signal)
        self._host = httpx.URL(self._url).host
        self._seconds = float(setting(signal, "TIMEOUT") or 10)
        compression = setting(signal, "COMPRESSION").lower()
        self._compress = COMPRESSIONS.get(compression)
        headers = {"user-agent": f"policy-gateway/{__version__}", "content-type": "application/x-protobuf"}
        headers |= {"content-encoding": compression} if self._compress else {}
        self._client = httpx.AsyncClient(
            headers=headers | dict(parse_env_headers(setting(signal, "HEADERS"), liberal=True)),
            verify=_trust(signal),
            timeout=None,  # noqa: S113 - `send` has one, for the whole exchange
            # A proxy from the environment is for the way out. Many laptops have one and forget to exempt loopback.
            trust_env=self._host not in LOOPBACK,
        )
        self._closed = False

    async def send(self, body: bytes) -> Said:
        content = self._compress(body) if self._compress else body
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._exchange(content)
        except TimeoutError:
            return self._nothing(f"none within {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            return self._nothing(type(error).__name__)
        except RuntimeError:
            if self._closed:  # httpx says so of a client that was closed
                return Said("unavailable", "the gateway is stopping")
            raise
        return said(answer, "spans" if self._signal == "TRACES" else "metrics")

    async def _exchange(self, content: bytes) -> Answer:
        async with self._client.stream("POST", self._url, content=content) as answer:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LONGEST_ANSWER:
                    break
            return Answer(answer.status_code, answer.headers, body)

    def _nothing(self, why: str) -> Said:
        return Said("unavailable", f"no answer from the collector at {self._host} ({why})")

    async def close(self) -> None:
        """Ends what is being sent."""
        self._closed = True
        await self._client.aclose()


def _endpoint(signal: Signal) -> str:
    """That of all signals gets the path of this one; its own is taken as it is."""
    own = setting(signal, "ENDPOINT", of_all=False)
    return own or f"{(setting(signal, 'ENDPOINT') or DEFAULT_ENDPOINT).rstrip('/')}/v1/{signal.lower()}"


def _trust(signal: Signal) -> ssl.SSLContext:
    """Whom we trust, and what we show to a collector that asks who we are."""
    authority, certificate = setting(signal, "CERTIFICATE"), setting(signal, "CLIENT_CERTIFICATE")
    context = httpx.create_ssl_context() if not authority else ssl.create_default_context(cafile=authority)
    if certificate:
        context.load_cert_chain(certificate, setting(signal, "CLIENT_KEY") or None)
    return context
