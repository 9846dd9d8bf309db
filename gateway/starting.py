"""What must be true before anything is started: one list of mistakes, one plan.

`gateway check` and `gateway serve` look at the same things here, so that what passes the one starts under the other.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.config.mistakes import Mistake, Mistakes
from gateway.config.references import callback_mistakes, missing_secrets
from gateway.config.routes_file import load_routes
from gateway.core.routes import Routes
from gateway.generations import load
from gateway.settings import Settings, SettingsMistake, read_settings
from gateway.supervisor import Plan, default_workers

VARIABLE = re.compile(r"""\benv["']?\s*:\s*["']?([A-Za-z_][A-Za-z0-9_]*)""")


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


def examine(routes_path: Path, policies_path: Path, environ: Mapping[str, str]) -> list[str]:
    """Every mistake of settings, routes.yaml and policies, as sentences."""
    found: list[str] = []
    control_url = environ.get("GATEWAY_CONTROL_URL", "")
    try:
        settings(routes_path, environ)
    except SettingsMistake as mistake:
        found += mistake.sentences
    try:
        routes = load(routes_path, policies_path, environ).routes
    except Mistakes as mistakes:
        return found + [str(mistake) for mistake in mistakes.found]
    return found + [str(mistake) for mistake in sorted(_beside(routes, routes_path, control_url, environ))]


def inventory(routes_path: Path, policies_path: Path, environ: Mapping[str, str]) -> str:
    """What is in files without a mistake, in a line: counts, and the digest that verdicts and /readyz will name."""
    loaded = load(routes_path, policies_path, environ)
    routes, tools = loaded.routes, sum(len(system.tools) for system in loaded.routes.systems.values())
    there = ((len(routes.systems), "system"), (tools, "tool"), (len(routes.agents), "agent"))
    told = ", ".join(counted(count, noun) for count, noun in there)
    return f"{told}; generation {loaded.digest[:12]}."


def counted(count: int, noun: str) -> str:
    """`1 mistake`, `3 mistakes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _beside(routes: Routes, path: Path, control_url: str, environ: Mapping[str, str]) -> list[Mistake]:
    """What is wrong with the world that routes.yaml speaks of."""
    url = control_url or f"http://{routes.listen.control}"
    return missing_secrets(routes, environ, path) + callback_mistakes(routes, url, path)


def plan(routes_path: Path, policies_path: Path, data: Path, workers: int, environ: Mapping[str, str]) -> Plan:
    """What `gateway serve` is to run. Raises CannotServe or SettingsMistake."""
    found = examine(routes_path, policies_path, environ)
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
        redis_url=chosen.redis_url,
        grace_seconds=chosen.shutdown_grace,
        secure=bool(routes.listen.certificate),
        document={
            "routes": str(routes_path.absolute()),
            "policies": str(policies_path.absolute()),
            "data": str(data.absolute()),
        },
    )
