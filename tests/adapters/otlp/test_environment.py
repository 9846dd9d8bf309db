"""The standard OTEL_* variables, each through real requests, for traces and metrics; and what is refused at start."""

import asyncio
import datetime as dt
import ipaddress
import os
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.adapters.otlp.environment import NotSupported, configured, interval_seconds
from gateway.adapters.otlp.figures import MetricsCollector
from gateway.core.figures import MISTAKES
from tests.adapters.otlp.receiver import receiving
from tests.adapters.otlp.test_collector import SPAN, post

SIGNALS = ("TRACES", "METRICS")
PREFIX = "OTEL_EXPORTER_OTLP_"
both = pytest.mark.parametrize("signal", SIGNALS)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@dataclass(frozen=True)
class Pki:
    """An authority, a server that it vouches for, and a client."""

    ca: Path
    server: Path
    client_certificate: Path
    client_key: Path

    def listening(self, *, asks_for_a_client: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        if asks_for_a_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    folder, now = tmp_path_factory.mktemp("pki"), dt.datetime.now(dt.UTC)
    authority = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())

    def certificate(name, key, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme CA")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def private(key):
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    usage = x509.KeyUsage(**dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False), key_cert_sign=True, crl_sign=True)  # fmt: skip
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    server, client = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    for name, content in {
        "ca.pem": certificate(
            "Acme CA", authority, x509.BasicConstraints(ca=True, path_length=None), identifier, usage
        ),
        "server.pem": certificate("collector", server, here, issuer) + private(server),
        "client.pem": certificate("gateway", client, issuer),
        "client.key": private(client),
    }.items():
        (folder / name).write_bytes(content)
    return Pki(folder / "ca.pem", folder / "server.pem", folder / "client.pem", folder / "client.key")


def export(signal):
    """One export as these variables say; what came of it, and how long it took."""
    began = time.monotonic()

    async def metrics():
        collector = MetricsCollector()
        try:
            return await collector.export({MISTAKES: 1.0})
        finally:
            await collector.close()

    said = asyncio.run(post([SPAN]) if signal == "TRACES" else metrics())
    return said, time.monotonic() - began


def set_all(environment, values):
    for name, value in values.items():
        environment.setenv(name, str(value))


# --- Each variable ------------------------------------------------------------------------------------------------


@both
def test_the_endpoint_of_all_signals_gets_a_path_and_that_of_one_is_taken_as_it_is(environment, signal):
    with receiving() as receiver:
        environment.setenv(PREFIX + "ENDPOINT", receiver.url)
        export(signal)
        environment.setenv(f"{PREFIX}{signal}_ENDPOINT", receiver.url + "/custom/v1/" + signal.lower())
        export(signal)
    assert [path for path, _ in receiver.requests] == [f"/v1/{signal.lower()}", f"/custom/v1/{signal.lower()}"]


@both
def test_headers_are_sent_and_those_of_one_signal_instead_of_the_others(environment, signal):
    with receiving() as receiver:
        set_all(environment, {PREFIX + "ENDPOINT": receiver.url, PREFIX + "HEADERS": "api-key=k%201,x-tenant=acme"})
        export(signal)
        environment.setenv(f"{PREFIX}{signal}_HEADERS", "api-key=other")
        export(signal)
    (_, first), (_, second) = receiver.requests
    assert (first["api-key"], first["x-tenant"]) == ("k 1", "acme")
    assert second["api-key"] == "other" and "x-tenant" not in second
    assert first["content-type"] == "application/x-protobuf"


@both
@pytest.mark.parametrize("compression", ["gzip", "deflate", "none", ""])
def test_compression(environment, signal, compression):
    with receiving() as receiver:
        set_all(environment, {PREFIX + "ENDPOINT": receiver.url, PREFIX + "COMPRESSION": compression})
        assert export(signal)[0].verdict == "accepted", "and the receiver could read it"
    assert receiver.requests[0][1].get("content-encoding", "none") == (compression or "none")
    assert len(receiver.spans) + len(receiver.metrics) == 1


@both
def test_compression_of_one_signal_goes_before_that_of_all(environment, signal):
    with receiving() as receiver:
        set_all(environment, {PREFIX + "ENDPOINT": receiver.url, PREFIX + "COMPRESSION": "deflate",
                              f"{PREFIX}{signal}_COMPRESSION": "gzip"})  # fmt: skip
        export(signal)
    assert receiver.requests[0][1]["content-encoding"] == "gzip"


@both
@pytest.mark.parametrize("name", ["TIMEOUT", "{signal}_TIMEOUT"])
def test_a_timeout_in_seconds_bounds_an_export_with_its_retries(environment, signal, name):
    over = threading.Event()
    with receiving() as receiver:
        receiver.judge = lambda spans: over.wait(60) and None
        set_all(environment, {PREFIX + "ENDPOINT": receiver.url, PREFIX + name.format(signal=signal): "0.4"})
        said, took = export(signal)
        over.set()
        assert said.verdict == "unavailable" and 0.3 < took < 9, "it would be ten seconds if nobody said anything"


@both
@pytest.mark.parametrize("name", ["CERTIFICATE", "{signal}_CERTIFICATE"])
def test_only_an_authority_that_is_named_is_trusted(environment, signal, name, pki):
    with receiving(tls=pki.listening(asks_for_a_client=False)) as receiver:
        set_all(environment, {PREFIX + "ENDPOINT": receiver.url, PREFIX + "TIMEOUT": "30"})
        assert export(signal)[0].verdict == "unavailable" and receiver.requests == []
        environment.setenv(PREFIX + name.format(signal=signal), str(pki.ca))
        assert configured(signal)
        assert export(signal)[0].verdict == "accepted" and len(receiver.requests) == 1


@both
@pytest.mark.parametrize("specific", [False, True])
def test_a_client_certificate_is_shown_to_a_collector_that_asks_for_one(environment, signal, specific, pki):
    mine = f"{PREFIX}{signal}_" if specific else PREFIX
    with receiving(tls=pki.listening(asks_for_a_client=True)) as receiver:
        set_all(environment, {PREFIX + "ENDPOINT": receiver.url, PREFIX + "TIMEOUT": "30",
                              PREFIX + "CERTIFICATE": pki.ca})  # fmt: skip
        assert export(signal)[0].verdict == "unavailable" and receiver.requests == []
        set_all(environment, {mine + "CLIENT_CERTIFICATE": pki.client_certificate, mine + "CLIENT_KEY": pki.client_key})
        assert export(signal)[0].verdict == "accepted" and len(receiver.requests) == 1


@both
def test_the_resource_is_named_by_the_variables(environment, signal):
    with receiving() as receiver:
        environment.setenv(PREFIX + "ENDPOINT", receiver.url)
        export(signal)
        set_all(environment, {"OTEL_SERVICE_NAME": "payments",
                              "OTEL_RESOURCE_ATTRIBUTES": "service.name=no,deployment.environment=live"})  # fmt: skip
        export(signal)
    assert receiver.resources[0]["service.name"] == "policy-gateway" and receiver.resources[0]["service.version"]
    assert receiver.resources[1]["service.name"] == "payments"
    assert receiver.resources[1]["deployment.environment"] == "live"


@both
def test_a_proxy_is_used_for_the_way_out_and_not_before_this_machine(environment, signal):
    with receiving() as proxy:
        for name in [name for name in os.environ if name.lower() == "no_proxy"]:
            environment.delenv(name)
        set_all(environment, {PREFIX + "ENDPOINT": "http://collector.invalid", "http_proxy": proxy.url,
                              PREFIX + "TIMEOUT": "30"})  # fmt: skip
        assert export(signal)[0].verdict == "accepted" and len(proxy.requests) == 1
        environment.setenv(PREFIX + "ENDPOINT", "http://127.0.0.1:1")
        assert export(signal)[0].verdict == "unavailable" and len(proxy.requests) == 1


def test_the_interval_of_metrics_is_in_milliseconds(environment):
    assert interval_seconds() == 60.0
    environment.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1500")
    assert interval_seconds() == 1.5


# --- Whether there is one -----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": "https://c/v1/it"}, True),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://c/v1/logs"}, False),
        ({"OTEL_{signal}_EXPORTER": "otlp"}, True),
        ({"OTEL_{signal}_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
    ],
)
def test_it_is_on_when_a_collector_is_named(environment, signal, variables, expected):
    set_all(environment, {name.format(signal=signal): value for name, value in variables.items()})
    assert configured(signal) is expected


def test_prometheus_is_not_in_the_way_and_one_signal_not_in_that_of_the_other(environment):
    set_all(environment, {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})
    assert configured("TRACES") and not configured("METRICS")
    environment.setenv("OTEL_METRICS_EXPORTER", "prometheus,otlp")
    assert configured("METRICS")


@both
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OTEL_{signal}_EXPORTER": "console"}, "use otlp, none"),
        ({"OTEL_{signal}_EXPORTER": "otlp,console"}, "use otlp, none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "http or https URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "http or https URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf only"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_{signal}_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such"}, "no such file"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"},
            "gzip, deflate or none",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, "number of seconds"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_{signal}_TIMEOUT": "0"}, "above 0"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/no/such"}, "no such file"),
    ],
)
def test_what_the_gateway_does_not_do_is_said_at_start(environment, signal, variables, sentence):
    set_all(environment, {name.format(signal=signal): value for name, value in variables.items()})
    with pytest.raises(NotSupported, match=sentence):
        configured(signal)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", "cumulativetodelta"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1s", "milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "above 0"),
    ],
)
def test_what_metrics_cannot_do_is_said_at_start(environment, name, value, sentence):
    set_all(environment, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", name: value})
    assert configured("TRACES")
    with pytest.raises(NotSupported, match=sentence):
        configured("METRICS")
