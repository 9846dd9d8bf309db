"""One tool of a system: its definition as a core Tool, and the rules between its fields.

The rules refuse what would be silently ineffective (deduplicating a read), ambiguous (a resource from an argument
that may be missing) or unsafe (a read by POST that nobody vouched for). Each rule yields where and what to do.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from gateway.config import recordings, summaries
from gateway.config.input_schemas import Finding
from gateway.config.inputs import Inputs, inputs
from gateway.config.models import ToolModel
from gateway.config.previews import previews
from gateway.config.reading import Definition, Reading
from gateway.config.sentences import nearest
from gateway.config.templates import NAME, SAFE, WITHOUT_BODY, RequestLine, Template
from gateway.config.yaml_lines import Path
from gateway.core.routes import BodyKind, Parameter, Tool, Variable

RESOURCE = re.compile(r"([^/{}]+)/(.+)")
RESOURCE_VARIABLE = re.compile(rf"\{{({NAME})\}}")
CEDAR_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CEDAR_TAKEN = frozenset({
    "Agent", "Team", "System", "Action", "GatewayCall",
    "Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String",
    "datetime", "decimal", "duration", "ipaddr",
    "true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar",
})  # fmt: skip
"""Entity types of the gateway itself, types of Cedar, and words of its grammar."""
BETWEEN = frozenset({408, 502, 503, 504, *range(520, 525)})
"""Statuses that may come from between us and the system, so they prove nothing (design section 5)."""
IDENTIFYING = frozenset({"string", "integer"})
"""Types of arguments that can be part of a name."""


def tool(definition: Definition, system: str, reading: Reading) -> tuple[RequestLine | None, Tool | None]:
    """The request line, for ties, if it can be read; and the tool, if nothing is wrong with it."""
    model = reading.validated(ToolModel, definition)
    if model is None:
        return None, None
    line = model.request
    body: BodyKind = model.body or ("none" if line.method in WITHOUT_BODY else "json")
    declared = inputs(model.input, model.headers, line, body)
    whole = reading.findings(definition, iter(declared.findings))
    whole &= reading.findings(definition, _findings(model, body, declared))
    known, named = summaries.schemas(declared.parameters, body), {*model.input, *model.headers}
    looks = previews(definition, system, known, named, any_name=model.open, reading=reading)
    if not whole or looks is None:
        return line, None
    return line, replace(_tool(f"{system}.{definition.name}", system, model, body, declared), previews=looks)


def _tool(name: str, system: str, model: ToolModel, body: BodyKind, declared: Inputs) -> Tool:
    resource = RESOURCE.fullmatch(model.resource or "")
    key = model.idempotency
    return Tool(
        name=name,
        system=system,
        method=model.request.method,
        template=_encoded(model.request.template, declared.encoded),
        effect=model.effect,
        body=body,
        parameters=declared.parameters,
        open=model.open,
        resource_type=resource[1] if resource else "",
        resource_id=resource[2] if resource else "",
        dedupe=model.dedupe,
        key_input=key.key or "",
        send_key=key.send,
        system_keeps_seconds=key.keeps or 0.0,
        keep_seconds=key.keep,
        window_seconds=key.window,
        hold_wait_seconds=model.hold.wait,
        not_acted=frozenset(model.not_acted),
        doubtful=frozenset(model.doubtful),
        record=recordings.recording(model.record, {parameter.name for parameter in declared.parameters}),
        summary=summaries.resolved(model.summary or (), summaries.schemas(declared.parameters, body)),
    )


def _encoded(template: Template, encoded: frozenset[str]) -> Template:
    return tuple(
        replace(part, encoded=True) if isinstance(part, Variable) and part.name in encoded else part
        for part in template
    )


def _findings(model: ToolModel, body: BodyKind, declared: Inputs) -> Iterator[Finding]:
    arguments = {parameter.name: parameter for parameter in declared.parameters}
    if body == "opaque" and "body" in arguments:
        yield ("input", "body"), "policies see size, type and digest of an opaque body as `body`; rename this input"
    yield from _effect(model)
    yield from _idempotency(model, arguments, set(model.input))
    yield from _statuses(model)
    known = summaries.schemas(declared.parameters, body)
    yield from summaries.findings(model.summary or (), known, {*model.input, *model.headers}, any_name=model.open)
    names = {parameter.name for parameter in declared.parameters} | set(known)
    yield from recordings.findings(model.record, names, model.resource or "", any_name=model.open)
    if model.resource is not None:
        yield from _resource(model.resource, arguments, set(model.input))


def _effect(model: ToolModel) -> Iterator[Finding]:
    method = model.request.method
    if model.effect == "read":
        if method not in SAFE and not model.safe:
            yield ("effect",), f"`effect: read` is for GET and HEAD; if this {method} changes nothing, add `safe: true`"
        for name in ("idempotency", "dedupe", "not_acted", "doubtful"):
            if name in model.model_fields_set:
                yield (name,), f"`{name}` does nothing for a read, which is never deduplicated or in doubt; remove it"
    elif model.safe:
        yield ("safe",), f"`safe: true` says that nothing changes, but the effect is {model.effect}; choose one"


def _idempotency(model: ToolModel, arguments: dict[str, Parameter], named: set[str]) -> Iterator[Finding]:
    key = model.idempotency
    if key.send and key.keeps is None:
        yield ("idempotency", "send"), "`send` needs `keeps`: how long the system remembers a key, such as 24h"
    if key.keeps is not None and not key.send:
        yield ("idempotency", "keeps"), "`keeps` needs `send`: the header in which the system takes the key"
    if not model.dedupe:
        for name in sorted({"key", "keep", "window"} & key.model_fields_set):
            yield ("idempotency", name), f"`{name}` does nothing with `dedupe: off`; remove one of the two"
    if key.key is not None and (key.key in arguments or key.key not in named):
        yield from _identifying(("idempotency", "key"), key.key, arguments, needed=False)
    if key.send.lower() in {name.lower() for name in model.headers}:
        yield ("idempotency", "send"), f"`{key.send}` is written by the gateway then; remove it under `headers`"


def _statuses(model: ToolModel) -> Iterator[Finding]:
    for position, status in enumerate(model.not_acted):
        if status in BETWEEN:
            yield ("not_acted", position), f"{status} may come from a machine before the system, so it proves nothing"
    for position, status in enumerate(model.doubtful):
        if status in model.not_acted:
            listed = ", ".join(map(str, model.not_acted))
            yield ("doubtful", position), f"{status} is also under `not_acted` ({listed}); it cannot be both"


def _resource(resource: str, arguments: dict[str, Parameter], named: set[str]) -> Iterator[Finding]:
    path = ("resource",)
    form = RESOURCE.fullmatch(resource)
    if form is None:
        yield path, "`resource` must be a type and an id, such as Charge/{charge}"
        return
    if not CEDAR_IDENTIFIER.fullmatch(form[1]) or form[1] in CEDAR_TAKEN:
        yield (
            path,
            f"`{form[1]}` cannot be a resource type: use letters and digits, and no word of Cedar or the gateway",
        )
    names = RESOURCE_VARIABLE.findall(form[2])
    rest = RESOURCE_VARIABLE.sub("", form[2])
    if "{" in rest or "}" in rest:
        yield path, "`resource` must have arguments as {name}, such as Charge/{charge}"
    if "}{" in form[2]:
        yield path, "`resource` must have text between two arguments, or two resources could have one id"
    for name in names:
        if name in arguments or name not in named:  # an input that has mistakes of its own is not one more
            yield from _identifying(path, name, arguments, needed=True)


def _identifying(path: Path, name: str, arguments: dict[str, Parameter], *, needed: bool) -> Iterator[Finding]:
    """An argument that becomes part of a name: declared, text or a whole number, and there whenever it must be."""
    inputs_only = {known for known, argument in arguments.items() if argument.place != "header"}
    if name not in inputs_only:
        yield path, f"`{path[-1]}` names `{name}`, which is not declared under `input`; {nearest(name, inputs_only)}"
    elif not isinstance(arguments[name].schema["type"], str):  # a type, or null
        yield path, f"`{path[-1]}` names `{name}`, which may be null, and null names nothing"
    elif arguments[name].schema["type"] not in IDENTIFYING:
        yield path, f"`{path[-1]}` names `{name}`, which must be of type string or integer"
    elif needed and arguments[name].optional:
        yield path, f"`{path[-1]}` names `{name}`, which is optional; a call without it would have no resource"
