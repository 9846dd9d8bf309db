"""One signed delivery over real sockets, to receivers that behave and receivers that do not."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import httpcore
import pytest

from gateway.adapters.webhook_sender import WebhookSender
from gateway.core.addresses import refused
from gateway.wire.webhook import sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUJD" * 10 + "QQ=="
NOW = 1_763_633_000
BODY = b'{"type": "approval.requested"}'


class Receiver:
    """Answers every request with the same bytes and remembers what came."""

    def __init__(self, answer: bytes, *, hold: float = 0.0) -> None:
        self.answer, self.hold = answer, hold
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            found = dict(_header(line) for line in head[1:] if line)
            body = await reader.readexactly(int(found.get("content-length", "0")))
            self.requests.append((head[0], found, body))
            await asyncio.sleep(self.hold)
            writer.write(self.answer)
            await writer.drain()
        finally:
            writer.close()


def _header(line):
    name, _, value = line.partition(": ")
    return name.lower(), value


@asynccontextmanager
async def receiving(answer=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", **options):
    receiver = Receiver(answer, **options)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?team=finance"
        yield receiver


async def deliver(url, secret=SECRET, message="msg_1", **options):
    async with WebhookSender(sign, **options) as sender:
        return await sender.deliver(url, secret, message, BODY, NOW)


def answered(answer, **options):
    async def run():
        async with receiving(answer) as receiver:
            return await deliver(receiver.url, **options), receiver

    return asyncio.run(run())


def test_a_notice_arrives_signed_and_byte_for_byte():
    delivery, receiver = answered(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (delivery.status, delivery.done, delivery.error) == (204, True, "")
    line, headers, body = receiver.requests[0]
    assert line == "POST /hook?team=finance HTTP/1.1"
    assert body == BODY and headers["content-type"] == "application/json"
    assert verify(headers, body, [SECRET], NOW) == ("msg_1", NOW)


def test_during_a_rotation_both_secrets_sign():
    _, receiver = answered(b"HTTP/1.1 204 No Content\r\n\r\n", secret=f"{SECRET}\n{OTHER}\n")
    _, headers, body = receiver.requests[0]
    assert verify(headers, body, [SECRET], NOW) == verify(headers, body, [OTHER], NOW) == ("msg_1", NOW)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status):
    async def run():
        async with receiving() as elsewhere:
            answer = f"HTTP/1.1 {status} Moved\r\nlocation: {elsewhere.url}\r\ncontent-length: 0\r\n\r\n".encode()
            async with receiving(answer) as receiver:
                return await deliver(receiver.url), elsewhere.requests

    delivery, elsewhere = asyncio.run(run())
    assert not delivery.done and delivery.status == status and "redirects are not followed" in delivery.error
    assert elsewhere == []


@pytest.mark.parametrize(("status", "gone"), [(400, False), (401, False), (404, False), (410, True), (500, False)])
def test_anything_but_2xx_is_not_done_and_only_410_is_gone(status, gone):
    delivery, _ = answered(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())
    assert (delivery.status, delivery.done, delivery.gone) == (status, False, gone)
    assert str(status) in delivery.error


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), ("Thu, 20 Nov 2025 10:04:20 GMT", 60.0), ("Thu, 20 Nov 2025 09:00:00 GMT", 0.0), ("soon", None)],
)
def test_retry_after_is_understood_in_both_forms(text, seconds):
    answer = f"HTTP/1.1 429 Slow\r\nretry-after: {text}\r\ncontent-length: 0\r\n\r\n".encode()
    delivery, _ = answered(answer)
    assert not delivery.done and delivery.retry_after == seconds


def test_a_cookie_of_one_receiver_never_comes_back():
    """Peer failure 21."""

    async def run():
        answer = b"HTTP/1.1 200 OK\r\nset-cookie: session=stolen; path=/\r\ncontent-length: 0\r\n\r\n"
        async with receiving(answer) as receiver, WebhookSender(sign) as sender:
            for message in ("msg_1", "msg_2"):
                assert (await sender.deliver(receiver.url, SECRET, message, BODY, NOW)).done
            return receiver.requests

    assert all("cookie" not in headers for _, headers, _ in asyncio.run(run()))


def test_what_a_receiver_answers_twice_is_no_answer_to_the_next_notice():
    """It keeps the connection open and has written a yes in advance. The second notice is refused all the same."""

    async def run():
        told = []

        async def serve(reader, writer):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(len(BODY))
                told.append(head)
                refusal, acceptance = (
                    b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % it for it in (b"500 No", b"200 OK")
                )
                writer.write(refusal + acceptance)
                await writer.drain()

        async def serving(reader, writer):
            try:
                await serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serving, "127.0.0.1", 0)
        async with server, WebhookSender(sign) as sender:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
            first, second = [await sender.deliver(url, SECRET, name, BODY, NOW) for name in ("msg_1", "msg_2")]
        return first, second, told

    first, second, told = asyncio.run(run())
    assert (first.status, first.done) == (second.status, second.done) == (500, False)
    assert len(told) == 2 and [b"msg_2" in head for head in told] == [False, True]


def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    delivery, _ = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert delivery.done


def test_an_endless_body_is_not_read():
    async def run():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
            try:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            except ConnectionError:
                ended.set()
            finally:
                writer.close()

        ended = asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            delivery = await deliver(url)
            await ended.wait()
            return delivery

    assert asyncio.run(run()).done


def test_a_receiver_that_never_answers_is_given_up():
    async def run():
        async with receiving(hold=0.5) as receiver:
            return await deliver(receiver.url, timeout=0.1)

    delivery = asyncio.run(run())
    assert (delivery.status, delivery.done) == (0, False) and "0.1 seconds" in delivery.error


def test_an_answer_that_trickles_in_cannot_stretch_the_time_limit():
    async def run():
        async def serve(reader, writer):
            try:
                for byte in b"HTTP/1.1 200 OK\r\n" + b"x" * 1000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.02)
            except ConnectionError:
                pass
            finally:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await deliver(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", timeout=0.2)

    assert "0.2 seconds" in asyncio.run(run()).error


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\nx"])
def test_a_broken_answer_is_a_failure_and_not_an_exception(answer):
    delivery, _ = answered(answer)
    assert (delivery.status, delivery.done) == (0, False) and delivery.error


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/secret-path",
        "http://nowhere.invalid/secret-path",
        "http://" + "a" * 70 + ".example/secret-path",
        "http://127.0.0.1:99999/secret-path",
        "ftp://127.0.0.1/secret-path",
        "/secret-path",
        "http://[::1/secret-path",
        "",
    ],
)
def test_a_url_that_leads_nowhere_is_a_failure_that_does_not_name_the_url(url):
    delivery = asyncio.run(deliver(url))
    assert (delivery.status, delivery.done) == (0, False)
    assert delivery.error and "secret-path" not in delivery.error


@pytest.mark.parametrize("secret", ["", " ", "whsec_short", "no-prefix"])
def test_a_bad_secret_sends_nothing_and_is_not_quoted(secret):
    async def run():
        async with receiving() as receiver:
            return await deliver(receiver.url, secret=secret), receiver.requests

    delivery, requests = asyncio.run(run())
    assert requests == [] and not delivery.done and "secret" in delivery.error
    assert "short" not in delivery.error and "no-prefix" not in delivery.error


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254",
        "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16",
        "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
    ],
)  # fmt: skip
def test_metadata_and_nobodys_addresses_are_refused_in_every_disguise(address):
    assert refused(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "93.184.216.34", "2606::1"]
)
def test_private_and_public_addresses_are_the_operators_choice(address):
    assert not refused(address)


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "0.0.0.0", "0"])
def test_a_refused_address_is_never_connected_to(host, monkeypatch):
    tried: list[str] = []

    async def connect(self, host, *rest, **options):
        tried.append(host)
        raise httpcore.ConnectError("no network in this test")

    monkeypatch.setattr("httpcore._backends.auto.AutoBackend.connect_tcp", connect)
    delivery = asyncio.run(deliver(f"http://{host}/latest/meta-data"))
    assert tried == [] and "metadata" in delivery.error


def test_one_bad_address_among_good_ones_refuses_the_name(monkeypatch):
    async def run():
        loop = asyncio.get_running_loop()

        async def resolve(*rest, **options):
            return [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("169.254.169.254", 80))]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        return await deliver("http://rebinding.example/hook")

    assert "metadata" in asyncio.run(run()).error


def test_the_next_address_is_tried_when_the_first_refuses(monkeypatch):
    async def run():
        async with receiving() as receiver:
            loop, port = asyncio.get_running_loop(), int(receiver.url.split(":")[2].split("/")[0])

            async def resolve(*rest, **options):
                return [(2, 1, 6, "", ("127.0.0.2", port)), (2, 1, 6, "", ("127.0.0.1", port))]

            monkeypatch.setattr(loop, "getaddrinfo", resolve)
            return await deliver(f"http://two-addresses.example:{port}/hook"), receiver.requests

    delivery, requests = asyncio.run(run())
    assert delivery.done and requests[0][1]["host"].startswith("two-addresses.example")


def test_certificates_are_checked_by_default():
    sender = WebhookSender(sign)
    context = sender._client._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    asyncio.run(sender.close())
