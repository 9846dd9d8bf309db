"""`preview:` of a tool: each names a read of the same system that can be made from the tool's own arguments.

What stands in an answer is not declared anywhere, so fields are not checked against it; but what is bound or becomes
another value must be shown, or people would answer for what they never saw.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from gateway.config import summaries
from gateway.config.field_types import Names, Shown, Text
from gateway.config.field_types import Summary as SummaryText
from gateway.config.input_schemas import Finding
from gateway.config.models import Strict
from gateway.config.reading import PART_NAME, Definition, Reading
from gateway.config.sentences import kind, nearest
from gateway.config.summaries import Schemas
from gateway.config.yaml_lines import Path, items
from gateway.core.previews import HEADER, Preview, field
from gateway.core.routes import Tool
from gateway.core.summaries import Summary, parse, slots

MOST_SHOWN = 12
"""Fields of one preview: what a person takes in before deciding."""
MOST = 4
"""Previews of one tool; each is a request to the system for every held call."""
NAME = re.compile(r"([^\[\]]+)(\[\])?")


class PreviewModel(Strict):
    expected: ClassVar[str] = 'a mapping such as {tool: get_charge, input: {charge: "{charge}"}, show: [amount]}'
    tool: Text
    input: dict[str, Any] = Field({})
    show: Annotated[list[Shown], Field(min_length=1, max_length=MOST_SHOWN)]
    bind: Names = Field([])
    becomes: dict[str, SummaryText] = Field({})
    title: Text | None = None


def previews(
    definition: Definition, system: str, known: Schemas, named: Collection[str], *, any_name: bool, reading: Reading
) -> tuple[Preview, ...] | None:
    """The previews of the tool that `definition` is, by themselves; None if something is wrong with one of them."""
    found: list[Preview | None] = []
    section = dict(items(definition.node)).get("preview")
    for entry in reading.definitions(section, "preview", PART_NAME):
        model = reading.validated(PreviewModel, entry)
        wrong = model is None or not reading.findings(entry, _findings(model, known, named, any_name=any_name))
        found.append(None if model is None or wrong else _preview(entry.name, system, model, known))
        if len(found) == MOST + 1:
            reading.note(entry.place, f"a tool has at most {MOST} previews: each is a request for every held call")
    whole = [preview for preview in found if preview is not None]
    return tuple(whole) if len(whole) == len(found) else None


def _preview(name: str, system: str, model: PreviewModel, known: Schemas) -> Preview:
    given = ((key, text) for key, value in model.input.items() for text in _texts(value))
    return Preview(
        name=name,
        tool=f"{system}.{model.tool}",
        given=tuple((key, summaries.resolved(parse(text), known)) for key, text in given),
        show=tuple(model.show),
        bind=tuple(_shown_name(text) for text in model.bind),
        becomes=tuple((_shown_name(key), summaries.resolved(text, known)) for key, text in model.becomes.items()),
        title=field(model.title).path if model.title else (),
    )


def _shown_name(text: str) -> str:
    return text.lower() if text.startswith(HEADER) else text


def _texts(value: Any) -> list[str]:
    """One argument as text, once for each time that it is sent."""
    found = value if isinstance(value, list) else [value]
    return [("true" if item else "false") if isinstance(item, bool) else str(item) for item in found]


def _findings(model: PreviewModel, known: Schemas, named: Collection[str], *, any_name: bool) -> Iterator[Finding]:
    for key, value in model.input.items():
        for item in value if isinstance(value, list) else [value]:
            yield from _given(("input", key), item, known, named, any_name=any_name)
    shown = {slot.name for slot in model.show}
    if len(shown) < len(model.show):
        yield ("show",), "`show` must not list a field twice"
    for position, text in enumerate(model.bind):
        if text not in shown:
            yield ("bind", position), f"`bind` names `{text}`, which `show` does not list; {nearest(text, shown)}"
    for key, becomes in model.becomes.items():
        if key not in shown:
            yield ("becomes", key), f"`becomes` names `{key}`, which `show` does not list; {nearest(key, shown)}"
        path = ("becomes", key)
        yield from summaries.findings(becomes, known, named, any_name=any_name, path=path, label=f"`{key}`")
    if model.title is not None:
        yield from _title(model.title)


def _title(text: str) -> Iterator[Finding]:
    try:
        slot = field(text)
    except ValueError as error:
        yield ("title",), f"`title` {error}"
        return
    if slot.filter or slot.name.startswith(HEADER):
        yield ("title",), "`title` must be the name of a field alone, such as description"


def _given(path: Path, value: Any, known: Schemas, named: Collection[str], *, any_name: bool) -> Iterator[Finding]:
    name = path[-1]
    if not isinstance(value, str | int):
        yield (
            path,
            f'`{name}` must be text, such as "{{charge}}", a whole number, or a list of these, not {kind(value)}',
        )
        return
    if isinstance(value, str):
        try:
            text = parse(value)
        except ValueError as error:
            yield path, f"`{name}` {error}"
            return
        yield from _filters(path, text)
        yield from summaries.findings(text, known, named, any_name=any_name, path=path, label=f"`{name}`")


def _filters(path: Path, text: Summary) -> Iterator[Finding]:
    for slot in slots(text):
        if slot.filter:
            yield path, f"`{path[-1]}` has the filter `{slot.filter}`; what is sent is the argument itself"


def findings(previews: Collection[Preview], tools: Mapping[str, Tool]) -> Iterator[Finding]:
    """What is wrong between the previews of one tool and the tools of its system, by their full names."""
    for preview in previews:
        path = ("preview", preview.name)
        read = tools.get(preview.tool)
        if read is None:
            short = {name.partition(".")[2] for name in tools}
            name = preview.tool.partition(".")[2]
            yield (*path, "tool"), f"`tool` names `{name}`, which is not a tool of this system; {nearest(name, short)}"
        elif read.effect != "read" or read.method != "GET":
            yield (*path, "tool"), f"`{preview.tool}` is no read by GET, and a preview must change nothing"
        else:
            yield from _input(path, preview, read)


def _input(path: Path, preview: Preview, read: Tool) -> Iterator[Finding]:
    declared = {item.name: item for item in read.parameters}
    sent: set[str] = set()
    for key, _ in preview.given:
        base = key if key in declared else NAME.sub(r"\1", key)
        base = base if base in declared else base.lower()
        sent.add(base)
        if base not in declared and not read.open:
            near = nearest(base, declared)
            yield (*path, "input", key), f"`{preview.tool}` has no argument `{key}`; {near}"
    for name, item in declared.items():
        if not item.optional and name not in sent:
            yield (*path, "input"), f"`{preview.tool}` needs `{name}`; say under `input` where it comes from"
