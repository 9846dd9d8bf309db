"""The Cedar schema, generated from routes.yaml: the words in which policies are written and questions are asked.

    principal   Agent in Team, with its owner
    action      Action::"<system>.<tool>", in the groups Action::"<system>" and Action::"read" | "write" | "destructive"
    resource    the type that the tool declares, in System; or the System itself
    context     input: what the agent wrote, typed and closed; call: what the gateway knows

Policies are checked against it when they are loaded, and every question when it is asked. It must be the same for the
same routes, to the byte, because its digest names a generation; and nothing that an agent wrote may ever appear
outside `context.input`, or be left untyped.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.config.cedar_values import (
    ESCAPES,
    IDENTIFIER,
    RESERVED,
    Convert,
    NotCedar,
    boolean,
    cedar_type,
    cedar_value,
    kind,
    long,
    member,
    quoted,
    representation,
    text,
)
from gateway.core.routes import Parameter, Routes, Tool

__all__ = [
    "BODY_SCHEMA", "CALL", "GROUPS", "Attribute", "NotCedar", "SchemaImpossible", "action_groups", "cedar_schema",
    "cedar_type", "cedar_value", "input_attributes", "obstacles", "slice_schema", "unseen",
]  # fmt: skip

GROUPS = ("read", "write", "destructive")
"""Every action is in the group of its effect."""
OWN_TYPES = frozenset({"Agent", "Team", "System", "Action", "GatewayCall"})
BUILT_IN = frozenset({
    "Bool", "Boolean", "Long", "String", "Set", "Record", "Entity", "Extension",
    "ipaddr", "decimal", "datetime", "duration",
})  # fmt: skip
CHOICES_SHOWN = 6
"""Of an enum, in the comment: enough to recognise it."""
HEAD = """\
// The Cedar schema of this gateway, generated from routes.yaml by `gateway schema`. Do not edit: change routes.yaml.
// Everything an agent wrote is below context.input. A name with a question mark may be absent: ask with `has` first."""


class SchemaImpossible(ValueError):
    """The routes use names that Cedar gives another meaning. The text is one sentence per name."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of `context.input` or `context.call`."""

    name: str
    """As policies write it."""
    type: str
    optional: bool
    convert: Convert
    argument: str
    """Its key in the question; differs from the name only in the case of a header's letters."""
    remark: str = ""


def _moment(value: object) -> object:
    """Milliseconds since the epoch, as the journal's clock counts them, or a datetime with a time zone."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = datetime.fromtimestamp(value / 1000, UTC)  # from milliseconds to seconds
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise NotCedar(f"expected a moment, found {kind(value)}")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def _address(value: object) -> object:
    """Without the zone of a link-local IPv6 address (`fe80::1%eth0`), which Cedar does not read."""
    return str(text(value)).partition("%")[0]


CALL = (
    Attribute("method", "String", False, text, "method", "of the HTTP request: POST"),
    Attribute("key_given", "Bool", False, boolean, "key_given", "the agent sent an idempotency key of its own"),
    Attribute("run", "String", True, text, "run", "the agent's own id for one piece of work"),
    Attribute("user", "String", True, text, "user", "on whose behalf the agent acts"),
    Attribute("source_ip", "ipaddr", False, _address, "source_ip", "where the request came from"),
    Attribute("now", "datetime", False, _moment, "now", "the time of this judgement, not of the first request"),
    Attribute("attempt", "Long", False, long, "attempt", "1, or more if it is sent again"),
)


BODY_SCHEMA: Mapping[str, object] = {
    "type": "object", "additionalProperties": False, "required": ["size", "type", "digest"],
    "properties": {"size": {"type": "integer"}, "type": {"type": "string"}, "digest": {"type": "string"}},
}  # fmt: skip
"""Of the attribute that stands for a body which is not typed."""


def _body_attribute() -> Attribute:
    found = representation(BODY_SCHEMA)
    assert found is not None
    return Attribute("body", found.type, False, found.convert, "body", "untyped: bytes, content type, SHA-256 in hex")


BODY = _body_attribute()


def attribute_name(parameter: Parameter) -> str:
    """Header names are case-insensitive, so policies always write them in lower case."""
    return parameter.name.lower() if parameter.place == "header" else parameter.name


def input_attributes(tool: Tool) -> tuple[Attribute, ...]:
    """What policies see of the arguments of a tool, in the order of declaration."""
    found = []
    for parameter in tool.parameters:
        shape, name = representation(parameter.schema), attribute_name(parameter)
        if shape is None or name in ESCAPES:
            continue
        optional = parameter.optional or shape.nullable
        found.append(
            Attribute(
                name, shape.type, optional, shape.convert, parameter.name, _remark(parameter, nullable=shape.nullable)
            )
        )
    return (*found, BODY) if tool.body == "opaque" else tuple(found)


def unseen(tool: Tool) -> tuple[str, ...]:
    """Declared arguments that have no Cedar type: open objects, unions, arrays of unknown items."""
    seen = {attribute.argument for attribute in input_attributes(tool)}
    return tuple(parameter.name for parameter in tool.parameters if parameter.name not in seen)


def _remark(parameter: Parameter, *, nullable: bool) -> str:
    told = [f"header {quoted(parameter.name)}"] if parameter.place == "header" else []
    if isinstance(listed := parameter.schema.get("enum"), list | tuple):
        choices = [quoted(str(choice)) for choice in listed if choice is not None]
        more = ", ..." if len(choices) > CHOICES_SHOWN else ""
        told = ["one of " + ", ".join(choices[:CHOICES_SHOWN]) + more]
    if nullable:
        told.append("absent if null")
    return "; ".join(told)


def action_groups(tool: Tool) -> tuple[str, str]:
    """The groups that a policy may name instead of the tool."""
    return tool.system, tool.effect


def cedar_schema(routes: Routes, only: Collection[str] | None = None) -> str:
    """The schema in Cedar's own syntax, with comments. Raises SchemaImpossible.

    `only` leaves out every other tool: policies about those tools can be checked against it many times faster.
    """
    if only is None and (found := obstacles(routes)):
        raise SchemaImpossible("\n".join(found))
    tools = list(_tools(routes))
    groups = [(name, f"tools that {effect}") for name, effect in _EFFECTS.items()]
    groups += [(name, f"every tool of {name}") for name in sorted(routes.systems)]
    return "\n".join([
        HEAD, "",
        "entity Team;",
        "entity System;",
        "entity Agent in [Team] { owner: String };",
        *(f"entity {name} in [System];" for name in sorted({t.resource_type for t in tools if t.resource_type})),
        "", "// Groups: a policy that says `action in Action::\"write\"` is about every tool that writes.",
        *(f"action {quoted(name)};  // {_comment(meaning)}" for name, meaning in groups),
        "", "// What the gateway itself knows about a call.",
        "type GatewayCall = {", *_lines(CALL, "  "), "};",
        *(line for tool in tools if only is None or tool.name in only for line in _action(tool)), "",
    ])  # fmt: skip


_EFFECTS: Mapping[str, str] = {"read": "only look", "write": "change something", "destructive": "cannot be undone"}


def _tools(routes: Routes) -> Iterator[Tool]:
    for _, system in sorted(routes.systems.items()):
        yield from sorted(system.tools, key=lambda tool: tool.name)


def _action(tool: Tool) -> Iterator[str]:
    path = "/".join(part if isinstance(part, str) else f"{{{part.name}}}" for part in tool.template)
    attributes = input_attributes(tool)
    yield ""
    yield f"// {_comment(f'{tool.method} /{path}')}"
    if hidden := unseen(tool):
        yield f"// No policy sees {_comment(', '.join(hidden))}: a Cedar type needs one type and declared properties."
    if tool.open:
        yield "// It also takes arguments that are not declared; no policy sees those."
    yield f"action {quoted(tool.name)} in [{', '.join(map(quoted, action_groups(tool)))}] appliesTo {{"
    yield "  principal: [Agent],"
    yield f"  resource: [{tool.resource_type or 'System'}],"
    yield "  context: {"
    yield from ("    input: {", *_lines(attributes, "      "), "    },") if attributes else ("    input: {},",)
    yield "    call: GatewayCall"
    yield "  }"
    yield "};"


def _lines(attributes: Collection[Attribute], indent: str) -> Iterator[str]:
    for number, attribute in enumerate(attributes, 1):
        comma = "," if number < len(attributes) else ""
        remark = f"  // {_comment(attribute.remark)}" if attribute.remark else ""
        yield f"{indent}{_declared(attribute)}{comma}{remark}"


def _declared(attribute: Attribute) -> str:
    return f"{member(attribute.name)}{'?' if attribute.optional else ''}: {attribute.type}"


def _comment(remark: str) -> str:
    """On one line, whatever a name in routes.yaml contains."""
    return "".join(c if c.isprintable() else " " for c in remark)


def slice_schema(tool: Tool, given: Collection[Attribute], known: Collection[Attribute]) -> str:
    """The schema of one action with only those attributes of input and call that some policy reads.

    What no policy reads cannot change a decision, and to Cedar it costs as much as the decision itself.
    """
    group_names = action_groups(tool)
    types = [f"entity {tool.resource_type} in [System];"] if tool.resource_type else []
    return "\n".join([
        "entity Team;", "entity System;", "entity Agent in [Team] { owner: String };", *types,
        *(f"action {quoted(name)};" for name in group_names),
        f"action {quoted(tool.name)} in [{', '.join(map(quoted, group_names))}] appliesTo {{",
        f"  principal: [Agent], resource: [{tool.resource_type or 'System'}], context: {{",
        f"    input: {{ {', '.join(map(_declared, given))} }},",
        f"    call: {{ {', '.join(map(_declared, known))} }}",
        "  }",
        "};",
    ])  # fmt: skip


def obstacles(routes: Routes) -> list[str]:
    """What must be renamed in routes.yaml before there can be a schema; one sentence each."""
    found = [
        f'The system "{name}" has the name of a group of actions, so policies could not tell them apart: rename it.'
        for name in sorted(routes.systems)
        if name in GROUPS
    ]
    for tool in _tools(routes):
        word = tool.resource_type
        if word in OWN_TYPES | BUILT_IN:
            found.append(f'{tool.name}: the resource type "{word}" means something else in Cedar: choose another word.')
        elif word and (not IDENTIFIER.fullmatch(word) or word in RESERVED):
            found.append(f'{tool.name}: "{word}" cannot be a Cedar type: use letters and digits, such as Charge.')
        names = [attribute.name for attribute in input_attributes(tool)]
        found += [
            f'{tool.name}: two arguments are called "{name}" in policies: rename one of them.'
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
    return found
