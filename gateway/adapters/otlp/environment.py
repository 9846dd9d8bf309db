"""The standard OTEL_* variables, as far as the gateway looks at them itself; the SDK's exporters read the others.

What the gateway does not do is refused at start with a sentence, never ignored: whoever sets a variable relies on it.
"""

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

from gateway import __version__

Signal = Literal["TRACES", "METRICS"]


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
    if signal == "METRICS":
        interval_seconds()
    if setting(signal, "TEMPORALITY_PREFERENCE").lower() not in ("", "cumulative"):
        raise NotSupported(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE must be cumulative: the gateway's counts go on over "
            "restarts. Turn them into differences in the collector (cumulativetodelta)."
        )
    endpoint = setting(signal, "ENDPOINT")
    if not endpoint:
        return bool(exporters)  # asked for by name: the standard's default address
    place = urlsplit(endpoint)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise NotSupported("OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL, such as http://localhost:4318")
    protocol = setting(signal, "PROTOCOL")
    if protocol not in ("", "http/protobuf"):
        raise NotSupported(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: {signal.lower()} go as http/protobuf only")
    for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        path = setting(signal, name)
        if path and not Path(path).is_file():
            raise NotSupported(f"OTEL_EXPORTER_OTLP_{name} is {path!r}: there is no such file")
    return True


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


def host(signal: Signal) -> str:
    """Where it goes, for a sentence: never with what may be a credential."""
    return urlsplit(setting(signal, "ENDPOINT")).hostname or "localhost"


def setting(signal: Signal, name: str) -> str:
    """The variable for this signal, or else the one for all."""
    specific = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_{name}", "")
    return (specific or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")).strip()
