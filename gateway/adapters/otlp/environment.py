"""The standard OTEL_* variables: whether there is a collector, and how it is spoken to (`posting` does).

What the gateway does not do is refused at start with a sentence, never ignored: whoever sets a variable relies on it.
"""

import math
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

from gateway import __version__

Signal = Literal["TRACES", "METRICS"]
DEFAULT_ENDPOINT = "http://localhost:4318"
"""The standard's, for whoever asks for an exporter and names no place."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class NotSupported(ValueError):
    """The variables ask for what the gateway does not do; the message is a sentence for whoever set them."""


def configured(signal: Signal) -> bool:
    """True if the environment names a collector. Raises NotSupported."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {name.strip() for name in os.environ.get(f"OTEL_{signal}_EXPORTER", "").split(",")} - {""}
    # Prometheus finds GET /metrics whatever the variables say.
    elsewhere = {"none", "prometheus"} if signal == "METRICS" else {"none"}
    if exporters and exporters <= elsewhere:
        return False
    if exporters - {"otlp"} - elsewhere:
        names = ",".join(sorted(exporters))
        raise NotSupported(f"OTEL_{signal}_EXPORTER is {names!r}: use otlp, none, or leave it out")
    if setting(signal, "ENDPOINT") == "" and not exporters:
        return False
    _check(signal)
    return True


def _check(signal: Signal) -> None:
    """Raises NotSupported."""
    if signal == "METRICS":
        interval_seconds()
    if setting(signal, "TEMPORALITY_PREFERENCE").lower() not in ("", "cumulative"):
        raise NotSupported(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE must be cumulative: the gateway's counts go on over "
            "restarts. Turn them into differences in the collector (cumulativetodelta)."
        )
    place = urlsplit(setting(signal, "ENDPOINT") or DEFAULT_ENDPOINT)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise NotSupported("OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL, such as http://localhost:4318")
    protocol = setting(signal, "PROTOCOL")
    if protocol not in ("", "http/protobuf"):
        raise NotSupported(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: {signal.lower()} go as http/protobuf only")
    compression, seconds = setting(signal, "COMPRESSION").lower(), setting(signal, "TIMEOUT")
    if compression not in ("", "none", "gzip", "deflate"):
        raise NotSupported(f"OTEL_EXPORTER_OTLP_COMPRESSION is {compression!r}: use gzip, deflate or none")
    if seconds and not _is_positive(seconds):
        raise NotSupported(f"OTEL_EXPORTER_OTLP_TIMEOUT is {seconds!r}: it must be a number of seconds, above 0")
    for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        path = setting(signal, name)
        if path and not Path(path).is_file():
            raise NotSupported(f"OTEL_EXPORTER_OTLP_{name} is {path!r}: there is no such file")


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def resource() -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, over our own name."""
    ours = Resource({SERVICE_NAME: "policy-gateway", SERVICE_VERSION: __version__})
    found = Resource.create()
    named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found.merge(ours) if not named else ours.merge(found)


def interval_seconds() -> float:
    """Between two exports of metrics: OTEL_METRIC_EXPORT_INTERVAL, milliseconds."""
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip() or "60000"
    if not text.isdecimal() or not int(text):
        raise NotSupported(f"OTEL_METRIC_EXPORT_INTERVAL is {text!r}: it must be a number of milliseconds, above 0")
    return int(text) / 1000


def setting(signal: Signal, name: str, *, of_all: bool = True) -> str:
    """The variable for this signal, or else the one for all."""
    specific = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_{name}", "").strip()
    return specific or (os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip() if of_all else "")
