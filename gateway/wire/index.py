"""Everything that reading a request needs to look up, compiled from `Routes` once per generation.

An index is immutable once built, belongs to one generation, and holds no secret: agents' keys are digests. It must
never be asked about another generation's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.core.routes import Agent, Credential, Routes, System, Tool
from gateway.errors import UnknownTool
from gateway.wire import headers
from gateway.wire.arguments import Reader
from gateway.wire.keys import KEY_PREFIX, Agents
from gateway.wire.templates import Matcher

__all__ = ["KEY_PREFIX", "Entrance", "Index"]
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One system as a request meets it."""

    system: System
    keep: headers.Keeping
    key_places: frozenset[bytes]
    key_parameter: str
    """Query parameter in which this system takes its credential, or empty."""
    credential: Credential | None
    matcher: Matcher
    readers: Mapping[str, Reader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    routes: Routes
    agents: Agents
    entrances: Mapping[str, Entrance]
    """By system."""
    by_name: Mapping[bytes, Entrance]
    """By first path segment."""
    by_host: Mapping[bytes, Entrance]
    """By a host name that belongs to one system alone."""
    upstreams: Mapping[str, tuple[System, ...]]
    """Systems by the authority (`api.github.com`, with and without default port) of their origin."""
    everywhere: frozenset[bytes]
    """All headers in which some system takes a credential: for the gateway's own paths, `/calls/{id}`."""

    @classmethod
    def of(cls, routes: Routes) -> "Index":
        """Compile. Expects what `gateway.config` lets through."""
        entrances = {name: _entrance(system) for name, system in routes.systems.items()}
        return cls(
            routes=routes,
            agents=Agents(routes.agents.values()),
            entrances=entrances,
            by_name={name.encode(): entrance for name, entrance in entrances.items()},
            by_host={host.lower().encode(): item for item in entrances.values() for host in item.system.hosts},
            upstreams=_upstreams(routes),
            everywhere=headers.KEY_PLACES.union(*(item.key_places for item in entrances.values())),
        )

    def match(self, system: str, method: str, path: str) -> tuple[Tool, Mapping[str, str]]:
        """The tool for a path below the system's root (without query), and its variables decoded once.

        Raises UnknownTool, or AmbiguousRequest where a path could be taken for another one.
        """
        entrance = self.entrances.get(system)
        if entrance is None:
            raise UnknownTool(method, path, (), f"there is no system named {system[:60]!r}")
        return entrance.matcher.match(method, path)

    def reader(self, tool: Tool) -> Reader:
        """The compiled reader of one of this generation's tools."""
        return self.entrances[tool.system].readers[tool.name]

    def agent(self, name: str) -> Agent | None:
        return self.routes.agents.get(name)


def _entrance(system: System) -> Entrance:
    credential = system.credential
    return Entrance(
        system=system,
        keep=headers.keeping(system),
        key_places=headers.key_places(system),
        key_parameter=credential.name if credential is not None and credential.kind == "query" else "",
        credential=credential,
        matcher=Matcher(system.tools),
        readers={tool.name: Reader(tool) for tool in system.tools},
    )


def _upstreams(routes: Routes) -> dict[str, tuple[System, ...]]:
    found: dict[str, list[System]] = {}
    for system in routes.systems.values():
        for authority in authorities(system.origin):
            found.setdefault(authority, []).append(system)
    # The longest base path first, so that of two systems on one host the narrower is tried before the wider.
    return {name: tuple(sorted(systems, key=lambda item: -len(item.base_path))) for name, systems in found.items()}


def authorities(origin: str) -> set[str]:
    """How the authority of an origin may be written: `h` and `h:443` for `https://h`, and only `h:8443` with a port."""
    parts = urlsplit(origin)
    host = parts.netloc.rpartition("@")[2].lower()
    default = DEFAULT_PORTS.get(parts.scheme)
    port = parts.port
    if port is None:
        return {host, f"{host}:{default}"}
    name = host.rpartition(":")[0]
    return {host, name} if port == default else {host}
