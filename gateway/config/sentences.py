"""Pydantic's errors as mistakes a person can act on: the line, the field, what was expected, the nearest known name.

Every sentence is "`field` must ..." or names what is missing. Values are described, never quoted, unless a validator
of models.py chose to: a value may be a secret that was pasted into the wrong place.
"""

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.mistakes import Mistake
from gateway.config.models import Strict
from gateway.config.yaml_lines import Node, Path, Place

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list, such as [one, two]",
    "dict_type": "a mapping of names to values",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean `x`?)`, or the known names if none is near."""
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(names)}" if names else "nothing is known here"


def kind(value: object) -> str:
    """What a value is, without saying it."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return "empty"


def instead(name: str, expected: str, value: object) -> str:
    """What must be there and is not. What follows a semicolon in `expected` comes last."""
    form, _, note = expected.partition(";")
    return f"{name} must be {form}, not {kind(value)}" + (f";{note}" if note else "")


def choices(model: type[Strict] | None, name: str) -> str:
    """`: a, b or c` if a field of the model takes one of a few words."""
    known = model.fields_by_name().get(name) if model else None
    if known is None or get_origin(known.annotation) is not Literal:
        return ""
    *words, last = get_args(known.annotation)
    return f": {', '.join(words)} or {last}"


def label(path: Path, title: str) -> str:
    """How a sentence calls what stands at `path` of the thing called `title`."""
    if not path:
        return title
    *before, last = path
    if isinstance(last, int):
        return f"item {last + 1} of {label(before, title)}"
    return f"`{last}`"


def mistakes_of(error: ValidationError, model: type[Strict], node: Node, place: Place, title: str) -> list[Mistake]:
    """One mistake for each error of validating `node`, which stands at `place` and is called `title`."""
    details = error.errors(include_url=False)
    waived = {found["loc"][:-1] for found in details if found["type"] == "extra_forbidden"}
    mistakes = []
    for found in details:
        path = found["loc"]
        if found["input"] is None or (found["type"] == "missing" and path[:-1] in waived):
            continue  # a key without a value was noted when reading; a misspelt or later field explains a missing one
        mistakes.append(node.find(path, place).mistake(_sentence(found, model, path, title)))
    return mistakes


def _sentence(found: ErrorDetails, model: type[Strict], path: Path, title: str) -> str:
    name = label(path, title)
    context: Mapping[str, Any] = found.get("ctx", {})
    match found["type"]:
        case "missing":
            needed = str(path[-1])
            return f"{label(path[:-1], title)} needs `{needed}`{choices(model_at(model, path[:-1]), needed)}"
        case "extra_forbidden":
            return _unknown(str(path[-1]), model_at(model, path[:-1]), label(path[:-1], title))
        case "model_type" | "model_attributes_type":
            expected = model_at(model, path)
            return instead(name, expected.expected if expected else "a mapping", found["input"])
        case "value_error":
            return f"{name} {context['error']}"
        case "literal_error":
            return _choice(name, str(context["expected"]), found["input"])
        case "greater_than_equal":
            return f"{name} must be at least {context['ge']}"
        case "less_than_equal":
            return f"{name} must be at most {context['le']}"
        case "too_short":
            return f"{name} must not be empty"
        case known if known in EXPECTED:
            return f"{name} must be {EXPECTED[known]}, not {_given(known, found['input'])}"
        case _:
            return f"{name} is not right: {found['msg'].lower()}"


def _given(error: str, value: object) -> str:
    """What was given instead, with the cure for the traps of YAML."""
    if error == "string_type" and isinstance(value, int | float):
        return f"{kind(value)}; put it in quotes"
    if error == "bool_type" and value in ("on", "off", "yes", "no"):
        return f"`{value}`, which is plain text here"
    return kind(value)


def _choice(name: str, expected: str, value: object) -> str:
    options = expected.replace("'", "").replace(" or ", ", ").split(", ")
    shown = " or ".join(filter(None, (", ".join(options[:-1]), options[-1])))
    close = difflib.get_close_matches(value, options, n=1) if isinstance(value, str) else []
    return f"{name} must be {shown}" + (f" (did you mean `{close[0]}`?)" if close else "")


def _unknown(name: str, model: type[Strict] | None, where: str) -> str:
    if model and name in model.later:
        return f"this version does not perform `{name}` yet; remove it"
    return f"{where} has no field `{name}`; {nearest(name, model.fields_by_name() if model else ())}"


def model_at(model: type[Strict], path: Path) -> type[Strict] | None:
    """The model that checks what stands at `path`, if one does."""
    current: Any = model
    for step in path:
        current = _core(current)
        if isinstance(current, type) and issubclass(current, Strict):
            known = current.fields_by_name().get(str(step))
            current = known.annotation if known else None
        else:
            current = get_args(current)[-1] if get_args(current) else None
    current = _core(current)
    return current if isinstance(current, type) and issubclass(current, Strict) else None


def _core(annotation: Any) -> Any:
    """The type itself, without `Annotated` and `| None`."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = get_args(annotation)[0]
    return annotation
