"""What must be true before anything is started: one list of mistakes, one plan.

`gateway check` and `gateway serve` look at the same things here, so that what passes the one starts under the other.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.mistakes import Mistake, Mistakes
from gateway.config.references import (
    callback_mistakes,
    links_only_here,
    mail_mistakes,
    missing_secrets,
    missing_secrets_of_file,
)
from gateway.config.routes_file import load_routes
from gateway.generations import load
from gateway.ledger.place import Place
from gateway.ledger_checks import away_anchors, ledger_mistakes
from gateway.payload_keys import FILE, LOST_KEYS, PayloadKeysMistake, read_keys
from gateway.settings import Settings, SettingsMistake, missing_for_mail, read_settings

if TYPE_CHECKING:
    from gateway.supervisor import Plan

VARIABLE = re.compile(r"""\benv["']?\s*:\s*["']?([A-Za-z_][A-Za-z0-9_]*)""")

PLACEHOLDER = "0" * 64
"""The SHA-256 that stands in examples where that of a key belongs."""


class CannotServe(Exception):
    """Sentences about what is wrong, one per line."""


def settings(routes: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of this environment. Raises SettingsMistake.

    GATEWAY_* variables that routes.yaml names as a secret or a value are its own business, not misspelt settings.
    """
    return read_settings(environ, ignore=_named_in(routes))


def _named_in(routes: Path) -> frozenset[str]:
    """Every environment variable that the files name. Needs no valid YAML, so that both kinds of mistake are told."""
    files = sorted(routes.glob("*.yaml")) if routes.is_dir() else [routes]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]
    return frozenset(name for text in texts for name in VARIABLE.findall(text))


def examine(routes_path: Path, policies_path: Path, environ: Mapping[str, str], data: Path = Path()) -> list[str]:
    """Every mistake of settings, keys, places, routes.yaml and policies, as sentences."""
    found: list[str] = []
    control_url = environ.get("GATEWAY_CONTROL_URL", "")
    try:
        payload_keys(settings(routes_path, environ), data, to_be_made=True)
    except SettingsMistake as mistake:
        found += mistake.sentences
    except PayloadKeysMistake as mistake:
        found.append(str(mistake))
    mistakes: list[Mistake] = []
    try:
        load(routes_path, policies_path, environ)
    except Mistakes as caught:
        mistakes += caught.found
    mistakes += _beside(routes_path, control_url, environ, data)
    found += _lost_keys(routes_path, environ, data)
    return found + [str(mistake) for mistake in sorted(mistakes)]


def _lost_keys(routes_path: Path, environ: Mapping[str, str], data: Path) -> list[str]:
    """That the keys which a start would make are those of something that is there already."""
    routes, _ = load_routes(routes_path, environ)
    given = environ.get("GATEWAY_PAYLOAD_KEYS") or environ.get("GATEWAY_PAYLOAD_KEYS_FILE")
    if routes is None or given or (data / FILE).exists():
        return []
    place = Place.of(routes.ledger, data)
    journal = (data / "appendonlydir").exists() and place.key is not None and place.key.exists()
    return [LOST_KEYS.format(path=data / FILE)] if journal or place.logs() else []


def payload_keys(chosen: Settings, data: Path, *, to_be_made: bool = False) -> tuple[bytes, ...]:
    """The keys of payload at rest. `to_be_made`: none are no mistake if `gateway serve` would make them.

    Raises PayloadKeysMistake.
    """
    ours = data / FILE
    path = chosen.payload_keys_file or ours
    if to_be_made and path == ours and not chosen.payload_keys and not path.exists():
        return ()
    return read_keys(chosen.payload_keys, path)


def inventory(routes_path: Path, policies_path: Path, environ: Mapping[str, str]) -> str:
    """What is in files without a mistake, in a line: counts, and the digest that verdicts and /readyz will name."""
    loaded = load(routes_path, policies_path, environ)
    routes, tools = loaded.routes, sum(len(system.tools) for system in loaded.routes.systems.values())
    numbers = ((len(routes.systems), "system"), (tools, "tool"), (len(routes.agents), "agent"))
    told = ", ".join(counted(count, noun) for count, noun in numbers)
    return f"{told}; generation {loaded.digest[:12]}."


def counted(count: int, noun: str) -> str:
    """`1 mistake`, `2 mistakes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def notes(routes_path: Path, environ: Mapping[str, str], data: Path = Path()) -> list[str]:
    """What is no mistake and yet surely not meant, as sentences."""
    routes, _ = load_routes(routes_path, environ)
    if routes is None:
        return []
    url = environ.get("GATEWAY_CONTROL_URL") or f"http://{routes.listen.control}"
    return (
        [
            f"Note: {', '.join(names)} will get links to {url}, which lead nowhere from other machines; set "
            "GATEWAY_CONTROL_URL."
            for names in [links_only_here(routes, url)]
            if names
        ]
        + [
            f"Note: the key of {agent.name} is the placeholder of an example, so nobody can call as {agent.name}; "
            f"`gateway key new agent {agent.name}` makes one."
            for agent in routes.agents.values()
            if PLACEHOLDER in agent.keys
        ]
        + [f"Note: {away}; it lags until then." for away in away_anchors(routes, data, routes_path)]
    )


def _beside(path: Path, control_url: str, environ: Mapping[str, str], data: Path) -> list[Mistake]:
    """What is wrong with the world that routes.yaml speaks of, as far as the file can be read."""
    routes, _ = load_routes(path, environ)
    if routes is None:
        return missing_secrets_of_file(path, environ)
    url = control_url or f"http://{routes.listen.control}"
    return (
        missing_secrets(routes, environ, path)
        + callback_mistakes(routes, url, path)
        + mail_mistakes(routes, missing_for_mail(environ), path)
        + ledger_mistakes(routes, data, environ, path)
    )


def plan(routes_path: Path, policies_path: Path, data: Path, workers: int, environ: Mapping[str, str]) -> "Plan":
    """What `gateway serve` is to run. Raises CannotServe or SettingsMistake."""
    from gateway.supervisor import Plan, default_workers  # noqa: PLC0415 - children come here too, and start nothing

    found = examine(routes_path, policies_path, environ, data)
    if found:
        raise CannotServe("\n".join([*found, f"{counted(len(found), 'mistake')}; nothing was started."]))
    chosen = settings(routes_path, environ)
    routes, _ = load_routes(routes_path, environ)
    assert routes is not None, "examined above"
    command = (sys.executable, "-m", "gateway", "child")
    return Plan(
        agents=routes.listen.agents,
        control=routes.listen.control,
        workers=workers or default_workers(),
        worker=command,
        steward=command,
        data=data,
        ledger=Place.of(routes.ledger, data),
        makes_payload_keys=not chosen.payload_keys and chosen.payload_keys_file is None,
        redis_url=chosen.redis_url,
        grace_seconds=chosen.shutdown_grace,
        secure=bool(routes.listen.certificate),
        document={
            "routes": str(routes_path.absolute()),
            "policies": str(policies_path.absolute()),
            "data": str(data.absolute()),
        },
    )
