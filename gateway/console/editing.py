"""The form in which an approver changes arguments before saying yes: one field per declared argument.

What a person leaves as it was is not touched, whatever it looks like in a form; what they change is read by the type
that routes.yaml declares, and is checked again with everything else by `Decisions.edit`. Arguments that are not
declared cannot be changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.console.guard import Form, OddForm
from gateway.console.text import visible
from gateway.core.admit import Admission
from gateway.core.routes import Variable
from gateway.errors import AmbiguousRequest
from gateway.wire import strict_json

Kind = Literal["text", "long", "number", "choice", "json"]
PREFIX = "argument:"
"""Of the names of fields, so that an argument called `csrf` is an argument."""
LINE = 60
"""Characters from which on text gets more than one line."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    kind: Kind
    text: str
    """What is in it now."""
    optional: bool
    there: bool
    """The request has it."""
    choices: tuple[str, ...] = ()


def fields(admission: Admission) -> list[Field]:
    """Every argument that can be changed, in the order of the tool."""
    tool, given = admission.tool, admission.question.input
    declared: dict[str, tuple[Mapping[str, object], bool]] = {
        part.name: ({"type": "string"}, False) for part in tool.template if isinstance(part, Variable)
    }
    for item in tool.parameters:
        if item.place != "body" or tool.body in ("json", "form"):
            name = item.name.lower() if item.place == "header" else item.name
            declared[name] = item.schema, item.optional and name not in declared
    return [_field(name, schema, optional, given) for name, (schema, optional) in declared.items()]


def _field(name: str, schema: Mapping[str, object], optional: bool, given: Mapping[str, object]) -> Field:  # noqa: FBT001
    kind_of = schema.get("type", "json")
    types = kind_of if isinstance(kind_of, list) else [kind_of]
    type_ = next((str(item) for item in types if item != "null"), "json")
    listed: Any = schema.get("enum", ())
    choices = ("true", "false") if type_ == "boolean" else tuple(map(str, listed)) if type_ == "string" else ()
    text = _text(given.get(name))
    if choices:
        kind: Kind = "choice"
    elif type_ == "string":
        kind = "long" if "\n" in text or len(text) > LINE else "text"
    else:
        kind = "number" if type_ in ("integer", "number") else "json"
    return Field(name, type_, kind, text, optional, name in given, choices)


def _text(value: object) -> str:
    """As it stands in a form. What cannot be seen is shown by its number here too, so nobody sends it unseen."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return visible(value.replace("\r\n", "\n"))
        case dict() | list() | tuple():
            return visible(strict_json.dumps(value).decode())
        case _:
            return str(value)


def changes(form: Form, known: list[Field]) -> dict[str, object]:
    """The arguments that were changed, with their new values; None takes one away. Raises OddForm."""
    told = form.starting(PREFIX)
    found: dict[str, object] = {}
    for field in known:
        text = told.get(field.name, field.text)
        if text != field.text:
            found[field.name] = _value(field, text)
    return found


def _value(field: Field, text: str) -> object:
    if not text and field.optional:
        return None
    match field.type:
        case "string":
            return text
        case "boolean" if text in ("true", "false"):
            return text == "true"
        case "integer" if re.fullmatch(r"-?[0-9]{1,30}", text.strip()):
            return int(text)
        case "integer":
            raise OddForm(f"`{field.name}` must be a whole number")
        case _:
            try:
                value, _ = strict_json.loads(text.encode())
            except AmbiguousRequest as error:
                raise OddForm(f"`{field.name}` must be {field.type}, written as JSON: {error.detail}") from error
            return value
