"""Delivers one signed notice to one webhook, once, and says what came of it.

It never retries (the steward does, from the outbox), follows no redirect (the secret is for one receiver), keeps no
cookie, reads no proxy from the environment, and does not read the receiver's body: a status line is all that a
receiver has to say. It never raises for anything a receiver or a network does, and what it reports names no URL,
because many webhook URLs are secrets.

The address is the operator's word, so private networks and loopback are fine. Link-local addresses, where clouds
serve credentials to whoever asks, and addresses that are nobody's are not: every address a name resolves to is
checked, and the connection goes to a checked address, so that a name cannot change its meaning in between.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import certifi
import httpcore
import httpx

from gateway import __version__
from gateway.core.addresses import refused
from gateway.ports import Delivery

TIMEOUT_SECONDS = 15.0
"""For everything from the name look-up to the status line; the lower end of what Standard Webhooks advises."""

Sign = Callable[[str, str, int, bytes], str]
"""`gateway.wire.webhook.sign`: secret, message id, timestamp, body."""


class RefusedAddress(Exception):
    """The receiver's name resolves to an address that no notice may go to. Nothing was sent."""


class WebhookSender:
    """Made once and used for all notices: making a client reads the CA bundle, which costs more than a delivery."""

    def __init__(self, sign: Sign, *, context: ssl.SSLContext | None = None, timeout: float = TIMEOUT_SECONDS) -> None:
        self._sign = sign
        self._timeout = timeout
        # The jar's policy accepts no domain: a cookie of one receiver can never reach another (peer failure 21).
        jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(
            transport=_transport(context or _trusted()),
            cookies=jar,
            follow_redirects=False,
            trust_env=False,
            timeout=timeout,
            headers={"user-agent": f"policy-gateway/{__version__}", "accept": "*/*"},
        )

    async def deliver(self, url: str, secret_text: str, notice_id: str, body: bytes, now: int) -> Delivery:
        """POST the body, signed, to the URL. `now` is in whole seconds since the epoch.

        `secret_text` may be several secrets with white space between them: a rotation. Then there are as many
        signatures, and the receiver needs to know only one of the secrets.
        """
        try:
            signatures = [self._sign(secret, notice_id, now, body) for secret in secret_text.split()]
        except ValueError as error:
            return _failed(str(error))
        if not signatures:
            return _failed("the webhook's secret is empty")
        headers = {
            "content-type": "application/json",
            "webhook-id": notice_id,
            "webhook-timestamp": str(now),
            "webhook-signature": " ".join(signatures),
        }
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", url, content=body, headers=headers) as response,
            ):
                return _delivery(response, now)
        except TimeoutError:
            return _failed(f"the receiver did not answer within {self._timeout:g} seconds")
        except RefusedAddress as error:
            return _failed(str(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return _failed("the webhook's URL is not an http or https URL")
        except httpx.ConnectError as error:
            return _failed(f"could not connect to the receiver: {error}")
        except httpx.TimeoutException:
            return _failed(f"the receiver did not answer within {self._timeout:g} seconds")
        except httpx.HTTPError as error:
            return _failed(f"the receiver broke the exchange off ({type(error).__name__})")

    async def close(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _CheckedAddresses(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, in the order in which the resolver gave them."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        if port > 65535:
            raise httpcore.ConnectError(f"{port} is not a port")
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter: not a name
            raise httpcore.ConnectError(f"its name does not resolve ({type(error).__name__})") from error
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if any(refused(address) for address in addresses):
            raise RefusedAddress("the receiver's name leads to a link-local, metadata or multicast address")
        failure: Exception = httpcore.ConnectError("its name has no address")
        for address in addresses:
            try:
                # TLS still verifies the name in the URL: only the look-up is done here.
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _transport(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, retries=0)
    # httpx has no public way to choose the network. If this attribute goes, the sender does not start.
    pool = transport._pool  # noqa: SLF001
    assert isinstance(pool._network_backend, httpcore.AsyncNetworkBackend), "httpx changed: addresses are unchecked"  # noqa: SLF001
    pool._network_backend = _CheckedAddresses(pool._network_backend)  # noqa: SLF001
    return transport


def _trusted() -> ssl.SSLContext:
    """What the machine trusts (SSL_CERT_FILE included) and what certifi ships, for images without certificates."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _delivery(response: httpx.Response, now: int) -> Delivery:
    status = response.status_code
    if response.is_success:
        return Delivery(status=status, done=True, error="")
    if 300 <= status < 400:
        error = f"the receiver answered {status}, and redirects are not followed: configure the address it moved to"
    elif status == 410:
        error = "the receiver answered 410: it wants no more notices"
    else:
        error = f"the receiver answered {status}"
    wait = _seconds(response.headers.get("retry-after", ""), now)
    return Delivery(status=status, done=False, error=error, retry_after=wait, gone=status == 410)


def _seconds(text: str, now: int) -> float | None:
    """Retry-After: whole seconds or a date (RFC 9110 section 10.2.3); None if it is neither."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _failed(error: str) -> Delivery:
    return Delivery(status=0, done=False, error=error)
