"""Connections go where they were checked to go, and to nobody who cannot prove the host's name."""

import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.adapters.addresses import Addresses
from gateway.adapters.upstream import PyreqwestUpstream
from gateway.clock import uptime
from gateway.ports import NeverSent, SendLost
from tests.adapters import hostile
from tests.adapters.hostile import HostileServer, answers
from tests.adapters.sending import (
    READ,
    WRITE,
    book,
    exchange,
    get,
    once,
    request,
    sender,
    system,
    with_sender,
)


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name exists nowhere but in our address book: the client does not ask anybody else."""
    with HostileServer(answers(b"ok")) as server:
        where = system(f"http://pinned.invalid:{server.port}")
        assert once(where, get(), READ, addresses=book({"pinned.invalid": ["127.0.0.1"]}))[2] == b"ok"
    assert server.requests[0].all("host") == [b"pinned.invalid:%d" % server.port]


def test_a_name_that_moves_is_followed_and_never_to_a_refused_address() -> None:
    """DNS rebinding: the second answer for the name is metadata."""
    known = {"moves.invalid": ["127.0.0.1"]}

    async def act(upstream: PyreqwestUpstream) -> None:
        where = system(f"http://moves.invalid:{server.port}")
        await exchange(upstream, where, get("/1"), READ)
        known["moves.invalid"] = ["127.0.0.1", "169.254.169.254"]
        addresses._answers.clear()
        with pytest.raises(NeverSent, match=r"169\.254\.169\.254"):
            await exchange(upstream, where, get("/2"), READ)
        known["moves.invalid"] = ["127.0.0.2"]
        await exchange(upstream, where, get("/3"), READ)

    addresses = book(known)
    with HostileServer(answers(b"ok"), host="0.0.0.0") as server:
        with_sender(act, addresses=addresses)
    assert [sent.target for sent in server.requests] == [b"/1", b"/3"]


@pytest.mark.parametrize("origin", ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://[::ffff:a9fe:a9fe]"])
def test_a_metadata_address_in_the_origin_is_refused(origin: str) -> None:
    with pytest.raises(NeverSent, match="allow_addresses"):
        once(system(origin), get(), READ)


def test_another_address_is_tried_when_the_first_provably_got_nothing() -> None:
    """A host with an IPv6 address on a network without IPv6 is the usual case."""
    with HostileServer(answers(b"ok")) as server:
        where = system(f"http://two.invalid:{server.port}")
        known = book({"two.invalid": ["127.0.0.9", "127.0.0.1"]})
        assert once(where, request(), addresses=known)[2] == b"ok"
    assert len(server.requests) == 1


def test_no_other_address_is_tried_when_the_first_may_have_got_something() -> None:
    known = book({"two.invalid": ["127.0.0.1", "127.0.0.2"]})
    with HostileServer(hostile.resets_after_reading(), host="0.0.0.0") as server, pytest.raises(SendLost):
        once(system(f"http://two.invalid:{server.port}"), request(), addresses=known)
    assert len(server.requests) == 1


@pytest.mark.parametrize("effect", [READ, WRITE])
def test_nothing_leaves_after_the_time_of_a_send_is_over(effect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up the name took hours: the machine slept. The claim that allowed this send has run out long ago."""
    slept = 0.0

    async def look_up(host: str, port: int) -> list[str]:
        nonlocal slept
        slept = 3 * 3600.0
        return ["127.0.0.1"]

    monkeypatch.setattr("gateway.adapters.upstream.sender.uptime", lambda: uptime() + slept)
    with HostileServer(answers(b"ok")) as server:
        where = system(f"http://slow.invalid:{server.port}")
        with pytest.raises(NeverSent, match="slept"):
            once(where, request(), effect, addresses=Addresses(look_up))
    assert not server.requests


@dataclass(frozen=True)
class Authority:
    """A private CA and a certificate for `pinned.invalid` and `127.0.0.1`, as files."""

    ca: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("tls")
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, issuer: str, key, signer, extensions) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Acme CA", "Acme CA", ca_key, ca_key, [x509.BasicConstraints(ca=True, path_length=None)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("pinned.invalid"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    )
    leaf = certificate("leaf", "Acme CA", key, ca_key, [names])
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(b"# Acme\n" + ca.public_bytes(pem) + b"\n" + ca.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(
        leaf.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    return Authority(folder / "ca.pem", context)


@pytest.mark.parametrize("host", ["127.0.0.1", "pinned.invalid"])
def test_a_private_authority_is_trusted_when_it_is_given(authority: Authority, host: str) -> None:
    with HostileServer(answers(b"ok"), tls=authority.server) as server:
        where = system(f"https://{host}:{server.port}")
        known = book({"pinned.invalid": ["127.0.0.1"]})
        assert once(where, request(), ca_file=authority.ca, addresses=known)[2] == b"ok"
        with pytest.raises(NeverSent, match="certificate"):
            once(where, request(), addresses=known)
    assert len(server.requests) == 1


def test_the_certificate_must_be_for_the_host_although_the_address_is_pinned(authority: Authority) -> None:
    known = book({"other.invalid": ["127.0.0.1"]})
    with HostileServer(answers(b"ok"), tls=authority.server) as server, pytest.raises(NeverSent, match="certificate"):
        once(system(f"https://other.invalid:{server.port}"), request(), ca_file=authority.ca, addresses=known)
    assert server.requests == []


def test_ssl_cert_file_is_respected(authority: Authority) -> None:
    """In a process of its own: the variable must be there before the first client."""
    code = (
        "import asyncio, sys\nfrom tests.adapters.sending import once, system, request\n"
        "print(once(system(sys.argv[1]), request())[2].decode())"
    )
    with HostileServer(answers(b"trusted"), tls=authority.server) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.origin], check=True, capture_output=True, text=True,
            env={**os.environ, "SSL_CERT_FILE": str(authority.ca)},
        )  # fmt: skip
    assert done.stdout.strip() == "trusted"


def test_an_authority_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(ValueError, match="no certificate"):
        sender(ca_file=tmp_path / "ca.pem")


def test_many_systems_share_a_bounded_number_of_clients() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        for number in range(70):
            where = system(server.origin, timeout=5.0 + number)
            assert (await exchange(upstream, where, get(), READ))[2] == b"ok"
        assert len(upstream._clients) <= 64

    with HostileServer(answers(b"ok")) as server:
        with_sender(act)
