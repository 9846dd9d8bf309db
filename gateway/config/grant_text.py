"""The Cedar text of a standing grant, written from the call at which it is given.

    @id("grant-07...") @grants("refunds-over-50-need-finance")
    permit (principal == Agent::"billing-bot", action == Action::"stripe.create_refund", resource)
    when { context.input.amount >= 0 && context.input.amount <= 10000 && ... && context.call.now < datetime("...") };

It must never say less than the person was told: an argument that is neither bounded nor free is compared with its
value in this call, or must be absent as it is there. What Cedar does not see, or does not compare exactly (a list is
a set to it, without order and repetition), cannot be held to a value, so it has to be named as free or there is no
grant. And no value may ever be read as Cedar: each condition is made twice, as text and as a tree, and what Cedar
itself reads in the whole text must be exactly the tree.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cedarpy import policies_to_json_str

from gateway.config.cedar_values import ESCAPES, IDENTIFIER, RESERVED, NotCedar, quoted, representation
from gateway.config.policy_text import statements, too_deep
from gateway.config.schema import BODY_SCHEMA, CALL, Attribute, input_attributes, unseen
from gateway.core.grants import NotGrantable, Terms
from gateway.core.routes import Tool
from gateway.core.verdict import Question

Tree = Mapping[str, Any]
LONGEST_TEXT = 16 * 1024
"""Characters. A person has to read it; and every process keeps it."""
FREE = "name it in `free` if any value will do"
NOW = next(attribute for attribute in CALL if attribute.name == "now")


@dataclass(frozen=True, slots=True)
class Condition:
    """The same expression in Cedar's syntax and in its JSON form."""

    text: str
    tree: Tree

    def member(self, name: str) -> "Condition":
        plain = IDENTIFIER.fullmatch(name) and name not in RESERVED
        text = f"{self.text}.{name}" if plain else f"{self.text}[{quoted(name)}]"
        return Condition(text, {".": {"left": self.tree, "attr": name}})

    def has(self, name: str) -> "Condition":
        plain = IDENTIFIER.fullmatch(name) and name not in RESERVED
        text = f"{self.text} has {name if plain else quoted(name)}"
        return Condition(text, {"has": {"left": self.tree, "attr": name}})

    def lacks(self, name: str) -> "Condition":
        has = self.has(name)
        return Condition(f"!({has.text})", {"!": {"arg": has.tree}})

    def compared(self, operator: str, other: "Condition") -> "Condition":
        return Condition(
            f"{self.text} {operator} {other.text}", {operator: {"left": self.tree, "right": other.tree}}
        )  # fmt: skip


CONTEXT = Condition("context", {"Var": "context"})
INPUT, KNOWN = CONTEXT.member("input"), CONTEXT.member("call")


def _literal(value: object) -> Condition:
    match value:
        case bool():
            text = "true" if value else "false"
        case int():
            text = str(value)
        case _:
            text = quoted(str(value))
    return Condition(text, {"Value": value})


def _extension(name: str, value: str) -> Condition:
    return Condition(f"{name}({quoted(value)})", {name: [{"Value": value}]})


def grant_text(question: Question, tool: Tool, terms: Terms, *, policy: str, grant: str) -> str:
    """The permit, for the call that `question` is about. `policy`: the `@id` of the forbid. Raises NotGrantable."""
    try:
        conditions = [*_about_arguments(question, tool, terms), *_about_the_call(question, terms)]
    except NotCedar as error:
        raise NotGrantable(f"an argument has no exact form in Cedar: {error}") from error
    joined = " &&\n  ".join(condition.text for condition in conditions)
    text = (
        f"@id({quoted(grant)})\n@grants({quoted(policy)})\n"
        f"permit (principal == Agent::{quoted(question.agent)}, action == Action::{quoted(tool.name)}, resource)\n"
        f"when {{\n  {joined}\n}};\n"
    )
    _verify(text, _whole(conditions, question, policy, grant))
    return text


def _about_arguments(question: Question, tool: Tool, terms: Terms) -> Iterator[Condition]:
    attributes, hidden = input_attributes(tool), set(unseen(tool))
    _check_names(terms, {*hidden, *(attribute.argument for attribute in attributes)})
    if tool.open:
        raise NotGrantable(f"{tool.name} also takes arguments that are not declared, and no grant can say which")
    for name in sorted(hidden - terms.free):
        raise NotGrantable(f"policies do not see `{name}`, so no grant can hold it to its value; {FREE}")
    schemas = {parameter.name: parameter.schema for parameter in tool.parameters}
    may_be_absent = {parameter.name for parameter in tool.parameters if parameter.optional}
    for attribute in attributes:
        if attribute.argument in terms.free:
            continue
        given = question.input.get(attribute.argument)
        if attribute.argument in terms.bounds:
            yield from _bounded(attribute, given, terms.bounds[attribute.argument])
        else:
            schema = schemas.get(attribute.argument, BODY_SCHEMA)
            declared = attribute.argument not in may_be_absent
            yield from _the_same(INPUT, attribute.name, schema, given, required=declared)


def _check_names(terms: Terms, known: set[str]) -> None:
    for name in sorted(terms.bounds.keys() | terms.free):
        if name not in known:
            raise NotGrantable(f"the tool has no argument `{name[:60]}`")
        if name in terms.bounds and name in terms.free:
            raise NotGrantable(f"`{name}` is both bounded and free; say one of the two")


def _bounded(attribute: Attribute, given: object, most: int) -> Iterator[Condition]:
    """From 0: an upper bound alone would let a negative amount through, which is usually the opposite payment."""
    if attribute.type != "Long":
        raise NotGrantable(f"`{attribute.argument}` is no whole number, so it has no bound; name it in `free`, or not")
    if most < 0 or (given is not None and int(str(attribute.convert(given))) < 0):
        raise NotGrantable(f"`{attribute.argument}` is negative; only numbers from 0 can be bounded")
    if most >= 2**63:
        raise NotGrantable(f"the bound of `{attribute.argument}` does not fit into 64 bits")
    if attribute.optional:
        yield INPUT.has(attribute.name)
    argument = INPUT.member(attribute.name)
    yield argument.compared(">=", _literal(0))
    yield argument.compared("<=", _literal(most))


def _the_same(
    record: Condition, name: str, schema: Mapping[str, object], given: object, *, required: bool
) -> Iterator[Condition]:
    """That this member of a record is what it is in this call, to the last part."""
    shape = representation(schema)
    assert shape is not None, "it is among the attributes that policies see"
    if given is None:
        if shape.nullable and not required:
            raise NotGrantable(f"policies do not tell a `{name}` that is null from one that is absent; {FREE}")
        yield record.lacks(name)
        return
    if shape.nullable or not required:
        yield record.has(name)
    part = record.member(name)
    match shape.convert(given):
        case str() as exact if shape.type == "decimal":
            yield part.compared("==", _extension("decimal", exact))
        case bool() | int() | str() as exact:
            yield part.compared("==", _literal(exact))
        case dict():
            yield from _the_same_members(part, name, schema, given)
        case _:
            raise NotGrantable(f"`{name}` is a list, which policies compare without order and repetition; {FREE}")


def _the_same_members(part: Condition, name: str, schema: Mapping[str, object], given: object) -> Iterator[Condition]:
    members, required = schema.get("properties"), schema.get("required", ())
    assert isinstance(members, Mapping)
    assert isinstance(required, list | tuple)
    assert isinstance(given, Mapping)
    hidden = [member for member, each in members.items() if member in ESCAPES or representation(each) is None]
    if hidden or schema.get("additionalProperties") is not False:
        raise NotGrantable(f"policies do not see all of `{name}`, so no grant can hold it to its value; {FREE}")
    for member, each in members.items():
        yield from _the_same(part, member, each, given.get(member), required=member in required)


def _about_the_call(question: Question, terms: Terms) -> Iterator[Condition]:
    """For the same user, who must not approve it, and not for ever."""
    user = question.call.get("user")
    if user is None:
        yield KNOWN.lacks("user")
    else:
        yield KNOWN.has("user")
        yield KNOWN.member("user").compared("==", _literal(str(user)))
    end = _extension("datetime", str(NOW.convert(terms.until)))
    yield KNOWN.member("now").compared("<", end)


def _whole(conditions: list[Condition], question: Question, policy: str, grant: str) -> Tree:
    body, *others = [condition.tree for condition in conditions]
    for other in others:
        body = {"&&": {"left": body, "right": other}}
    return {
        "effect": "permit",
        "annotations": {"id": grant, "grants": policy},
        "principal": {"op": "==", "entity": {"type": "Agent", "id": question.agent}},
        "action": {"op": "==", "entity": {"type": "Action", "id": question.action}},
        "resource": {"op": "All"},
        "conditions": [{"kind": "when", "body": body}],
    }


def _verify(text: str, meant: Tree) -> None:
    """Cedar reads in this text exactly what is meant, whatever an agent wrote into its arguments."""
    if len(text) > LONGEST_TEXT or any(too_deep(statement) for statement in statements("", text)):
        raise NotGrantable("its text would be too long to be read; name long arguments in `free`, or decide each call")
    try:
        read = json.loads(policies_to_json_str(text))
    except (ValueError, RecursionError) as error:
        raise NotGrantable("an argument cannot be written in Cedar; name it in `free`, or decide each call") from error
    if read["templates"] or list(read["staticPolicies"].values()) != [meant]:
        raise NotGrantable("an argument cannot be written in Cedar; name it in `free`, or decide each call")
