"""Systems with their tools, and what must agree between a system, its tools, and the other systems."""

from collections.abc import Iterator, Mapping

from gateway.config import addresses, header_names, previews
from gateway.config.input_schemas import Finding
from gateway.config.models import CredentialModel, SystemModel
from gateway.config.parties import known_person
from gateway.config.reading import PART_NAME, Definition, Reading
from gateway.config.templates import RequestLine, ties
from gateway.config.tools import tool
from gateway.config.yaml_lines import Node, Path, items
from gateway.core.routes import Credential, System, Tool

TAKEN = {
    **dict.fromkeys(("calls", "healthz"), "an address of the gateway itself"),
    **dict.fromkeys(("read", "write", "destructive"), "a group of actions in Cedar, as every system's name is"),
}
"""`.well-known` is the gateway's too, but no system can have that name."""
TIE = (
    "some paths match both this and the request of `{name}` ({place}), and neither has more literal segments; "
    "make one of the two more specific"
)
METADATA = (
    "`upstream` is a link-local or cloud-metadata address, which gives credentials to whoever asks; list it under "
    "`allow_addresses` if it is meant"
)
AUTHORIZATION = "Authorization"


def systems(sections: Mapping[str, Node], people: frozenset[str], reading: Reading) -> dict[str, System]:
    """Every system the file defines. What is wrong is noted and left out."""
    found: dict[str, System] = {}
    hosts: dict[str, str] = {}
    for definition in reading.definitions(sections.get("systems"), "system", PART_NAME):
        if why := TAKEN.get(definition.name.lower()):
            reading.note(definition.place, f"a system cannot be called `{definition.name}`: that is {why}; rename it")
        tools = _tools(definition, reading)
        model = reading.validated(SystemModel, definition)
        if model is None:
            continue
        reading.findings(definition, _findings(definition.name, model, people, hosts))
        named = {single.name: single for single, _ in tools}
        whole = len(tools) == len(list(items(dict(items(definition.node)).get("tools"))))
        for single, entry in tools:
            reading.findings(entry, _tool_findings(single, entry, model, definition.name))
            if whole:  # a tool that is wrong in itself is not missed here too
                reading.findings(entry, previews.findings(single.previews, named))
        found[definition.name] = _system(definition.name, model, tuple(single for single, _ in tools))
    return found


def _tools(definition: Definition, reading: Reading) -> list[tuple[Tool, Definition]]:
    section = dict(items(definition.node)).get("tools")
    entries: list[tuple[RequestLine, Definition]] = []
    tools: list[tuple[Tool, Definition]] = []
    for entry in reading.definitions(section, "tool", PART_NAME):
        line, single = tool(entry, definition.name, reading)
        if line:
            entries.append((line, entry))
        if single:
            tools.append((single, entry))
    for earlier, later in ties([line for line, _ in entries]):
        one, other = entries[earlier][1], entries[later][1]
        reading.note(other.at("request"), TIE.format(name=one.name, place=one.at("request")))
    return tools


def _findings(name: str, model: SystemModel, people: frozenset[str], hosts: dict[str, str]) -> Iterator[Finding]:
    yield from known_person(model.owner, people, "owner")
    if addresses.refused_address(model.upstream.host, model.allow_addresses):
        yield ("upstream",), METADATA
    for position, host in enumerate(model.hosts):
        if (holder := hosts.setdefault(host, name)) != name:
            yield ("hosts", position), f"`{host}` is already a host of system `{holder}`; a request could mean both"


def _tool_findings(single: Tool, entry: Definition, model: SystemModel, system: str) -> Iterator[Finding]:
    """Places that the system's credential, its dropped headers, the key we send and arguments cannot share."""
    credential = model.credential
    query = credential.query.name if credential and credential.query else None
    written = {name.lower(): name for name, _ in items(dict(items(entry.node)).get("headers"))}
    if single.send_key:
        yield from _header_findings(("idempotency", "send"), single.send_key, model, system)
    for parameter in single.parameters:
        if parameter.place == "header":
            yield from _header_findings(("headers", written[parameter.name]), parameter.name, model, system)
        elif parameter.place == "query" and parameter.name == query:
            yield ("input", query), f"`{query}` carries the credential of `{system}`, so it cannot be an argument"


def _header_findings(path: Path, name: str, model: SystemModel, system: str) -> Iterator[Finding]:
    if model.credential and name.lower() == _header(model.credential).lower():
        yield path, f"`{name}` carries the credential of `{system}`, so nothing else can"
    for pattern in model.drop_headers:
        if header_names.covers(pattern, name.lower()):
            yield path, f"`{name}` is used here, but `{pattern}` under `drop_headers` of `{system}` drops it"


def _header(credential: CredentialModel) -> str:
    """The header that carries a credential; empty if none does."""
    if credential.query:
        return ""
    return credential.header.name if credential.header else AUTHORIZATION


def _system(name: str, model: SystemModel, tools: tuple[Tool, ...]) -> System:
    return System(
        name=name,
        origin=model.upstream.origin,
        base_path=model.upstream.base_path,
        owner=model.owner,
        credential=_credential(model.credential) if model.credential else None,
        timeout_seconds=model.timeout,
        hosts=tuple(model.hosts),
        drop_headers=frozenset(model.drop_headers),
        rewrite_urls=model.rewrite_urls,
        allow_addresses=tuple(model.allow_addresses),
        tools=tools,
    )


def _credential(model: CredentialModel) -> Credential:
    if model.basic:
        return Credential("basic", model.basic.password.reference(), name=model.basic.username)
    if model.header:
        return Credential("header", model.header.value.reference(), name=model.header.name, prefix=model.header.prefix)
    if model.query:
        return Credential("query", model.query.value.reference(), name=model.query.name)
    assert model.bearer
    return Credential("bearer", model.bearer.reference())
