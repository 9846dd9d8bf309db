"""Whether typed arguments fit their JSON Schemas, and a sentence for each that does not, without its value.

One compiled validator per tool (jsonschema-rs, draft 2020-12, formats checked). An error must say where and what was
expected, and never what was found: arguments may be secrets, and they belong to the agent that sent them.
"""

from collections.abc import Container, Mapping
from typing import Any

import jsonschema_rs

from gateway.core.routes import Tool

MASK = "this value"
LONGEST = 200
"""Characters of one expectation: an `enum` of a thousand members helps nobody."""
MOST_PROBLEMS = 20


class Validator:
    """The arguments of one tool as one closed object."""

    def __init__(self, tool: Tool, path: Container[str]) -> None:
        """`path`: names of path variables; undeclared ones are strings."""
        properties: dict[str, Any] = {}
        required: list[str] = []
        self._places: dict[str, str] = {}
        for parameter in tool.parameters:
            name = parameter.name.lower() if parameter.place == "header" else parameter.name
            properties[name] = _own(dict(parameter.schema), name)
            self._places[name] = parameter.place
            if not parameter.optional:
                required.append(name)
        self._path = path
        schema = {"type": "object", "properties": properties, "required": required}
        self._compiled = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, mask=MASK)

    def problems(self, values: Mapping[str, object]) -> list[tuple[str, str]]:
        """Pairs of where (`body.amount`) and what was expected; empty if all is well."""
        if self._compiled.is_valid(values):
            return []
        found: dict[tuple[str, str], None] = {}
        for error in self._compiled.iter_errors(values):
            found[self._problem(error)] = None
            if len(found) == MOST_PROBLEMS:
                break
        return list(found) or [("arguments", "values that fit the tool's schema")]

    def _problem(self, error: jsonschema_rs.ValidationError) -> tuple[str, str]:
        steps = [str(step) for step in error.instance_path]
        kind = error.kind
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
            return self._where([*steps, kind.property]), "it is required"
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
            return self._where([*steps, *kind.unexpected[:1]]), "it is not declared"
        expected = error.message if len(error.message) <= LONGEST else error.message[: LONGEST - 3] + "..."
        return self._where(steps), expected

    def _where(self, steps: list[str]) -> str:
        if not steps:
            return "arguments"
        place = self._places.get(steps[0], "path" if steps[0] in self._path else "body")
        return ".".join((place, *steps))[:LONGEST]


def _own(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """References inside a parameter's schema mean that schema, not the object we build around it."""
    if "$ref" in str(schema) and "$id" not in schema:
        schema["$id"] = f"urn:gateway:parameter:{name}"
    return schema
