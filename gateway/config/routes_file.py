"""routes.yaml as `Routes`, or every mistake in it at once, each with its line (design section 7).

The way of a file: sources.py reads and merges it into values that know their lines; models.py checks each definition
by itself; parties.py, systems.py and tools.py check what must agree between definitions and build core values. There
is no partial result: whoever gets a `Routes` gets one without a mistake. Secrets are never read here.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.config import addresses
from gateway.config.input_schemas import Finding
from gateway.config.ledger import ledger_settings
from gateway.config.mistakes import Mistake
from gateway.config.models import ListenModel
from gateway.config.parties import parties, unmanned
from gateway.config.reading import Definition, Reading
from gateway.config.sources import source
from gateway.config.systems import systems
from gateway.core.ledger_settings import LedgerSettings
from gateway.core.routes import Listen, Routes

__all__ = ["digest_of", "load_ledger", "load_routes", "unmanned"]

FORMAT = "gateway-routes-1"
"""First part of the digest, so that another way of computing it can never give the same value."""


def load_routes(path: Path, environ: Mapping[str, str]) -> tuple[Routes | None, list[Mistake]]:
    """Read a file, or a directory of *.yaml. Routes only if there is no mistake; mistakes in the order of lines."""
    reading = Reading(environ)
    files = source(path, reading)
    found = parties(files.sections, reading)
    known = systems(files.sections, found.named, reading)
    listen = _listen(files.listen, reading)
    ledger = ledger_settings(files.ledger, reading)
    if reading.mistakes:
        return None, sorted(set(reading.mistakes))
    routes = Routes(
        systems=known, agents=found.agents, people=found.people, groups=found.groups, listen=listen, ledger=ledger
    )
    return dataclasses.replace(routes, digest=digest_of(routes)), []


def load_ledger(path: Path, environ: Mapping[str, str]) -> tuple[LedgerSettings, list[Mistake]]:
    """Only what stands under `ledger`, for whoever needs neither the rest nor the values that the rest takes from the
    environment. The settings are of no use if there are mistakes."""
    reading = Reading(environ)
    settings = ledger_settings(source(path, reading).ledger, reading)
    return settings, sorted(set(reading.mistakes))


def digest_of(routes: Routes) -> str:
    """SHA-256, hex, over every value but the digest: comments do not matter, resolved addresses do."""
    values = dataclasses.asdict(dataclasses.replace(routes, digest=""))
    text = json.dumps([FORMAT, values], sort_keys=True, separators=(",", ":"), default=sorted)
    return hashlib.sha256(text.encode()).hexdigest()


def _listen(definition: Definition | None, reading: Reading) -> Listen:
    model = reading.validated(ListenModel, definition) if definition else None
    if definition is None or model is None:
        return Listen()
    reading.findings(definition, _listen_findings(model))
    return Listen(
        agents=model.agents,
        control=model.control,
        certificate=model.tls.cert if model.tls else "",
        private_key=model.tls.key if model.tls else "",
    )


def _listen_findings(model: ListenModel) -> Iterator[Finding]:
    if addresses.same_socket(model.agents, model.control):
        yield ("control",), "`control` must have a port of its own: agents must not reach the control plane"
