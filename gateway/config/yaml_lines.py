"""YAML text as values that know their line. Reads less than YAML allows, so that nothing is read differently.

What a reader of the file sees must be what the gateway gets. So only `true`, `false`, `null`, and plain decimal
numbers without leading zeros are not text: `off`, `yes`, `2026-12-01`, `12:30`, `1e3`, `0x1f`, `010` and `1_000`
are text here, whatever YAML 1.1 or 1.2 makes of them. Tags, directives, merge keys, several documents, repeated
keys, keys that are not text and keys without a value are mistakes. Anchors and aliases work within limits.

The parser's events are read in a loop, never by recursion: a file cannot overflow the stack or multiply itself.
This file knows YAML and nothing of routes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from gateway.config.mistakes import Mistake

DEEPEST = 40
"""Nesting a person can still read; routes.yaml itself needs 9 levels, and an input schema a few more."""
LARGEST = 500_000
"""Values after aliases are expanded: some 20,000 tools. Beyond it, a file of a few lines is an alias bomb."""

Path: TypeAlias = Sequence[str | int]
Scalar: TypeAlias = str | int | float | bool | None

UNQUOTED_TEMPLATE = re.compile(r"""\{.*\brequest:\s*[A-Za-z]+ /[^"',]*\{""")
"""A path template in a flow mapping: YAML takes its brace for one more mapping."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML carries it: ten times faster. Only its parser is used, never its constructors."""
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
"""At most 19 digits: what 64 bits can hold. Longer ones, such as a digest that is all digits, are text."""
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})\.[0-9]{1,19}")
WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

GIVE_ONE = "give it one (in quotes if you mean the text) or remove it"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, 1-based; 0 for the file as a whole."""

    file: str
    line: int

    def mistake(self, sentence: str) -> Mistake:
        return Mistake(self.file, self.line, sentence)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(slots=True, eq=False)
class Node:
    """One value of the file, with the place of everything in it."""

    place: Place
    value: "Scalar | list[Node] | dict[str, Node]"
    keys: dict[str, Place] = field(default_factory=dict)
    """Where the keys of a mapping stand."""
    size: int = 1
    height: int = 0

    def plain(self) -> Any:
        """The value without places: dict, list, text, number, boolean or None."""
        match self.value:
            case dict():
                return {key: node.plain() for key, node in self.value.items()}
            case list():
                return [node.plain() for node in self.value]
            case _:
                return self.value

    def find(self, path: Path, default: Place) -> Place:
        """The place of the last step of `path` that exists: of its key in a mapping, of the item in a list."""
        place, node = default, self
        for step in path:
            match node.value:
                case dict() as entries if isinstance(step, str) and step in entries:
                    place, node = node.keys[step], entries[step]
                case list() as items if isinstance(step, int) and step < len(items):
                    node = items[step]
                    place = node.place
                case _:
                    break
        return place


class _Stop(Exception):
    """Nothing sensible can be read from here on."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


def scalar(text: str) -> Scalar:
    """What a plain (unquoted) scalar means."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text):
        return float(text)
    return text


def read(text: str, file: str) -> tuple[Node | None, list[Mistake]]:
    """The one document of a file and every mistake of its form. No node if it has none that can be read."""
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=LOADER):
            builder.take(event)
    except _Stop as stop:
        builder.note(stop.line, stop.sentence)
        return None, builder.mistakes
    except yaml.YAMLError as error:
        return None, [*builder.mistakes, _syntax(error, text, file)]
    return builder.root, builder.mistakes


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Mistake:
    """PyYAML's words where they help, with the two cures people need most often."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Mistake(file, line, f"the control character {error.character:#04x} is not allowed; remove it")
    problem = str(getattr(error, "problem", None) or "it cannot be parsed")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = min(mark.line + 1, max(1, len(text.splitlines()))) if mark else 0
    tab = "cannot start any token" in problem and "\t" in text.splitlines()[line - 1]
    if tab or "tab character" in problem:
        return Mistake(file, line, "this is not valid YAML: indent with spaces, a tab is not allowed")
    if "mapping values are not allowed" in problem:
        problem += " (put a value that contains `: ` in quotes)"
    if UNQUOTED_TEMPLATE.search(text.splitlines()[line - 1] if line else ""):
        problem += ' (inside {...}, a request that contains { goes in quotes: request: "GET /{path...}")'
    return Mistake(file, line, f"this is not valid YAML: {problem}")


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    node: Node
    anchor: str | None
    key: str | None = None
    place: Place | None = None
    """Set while the value of a key is awaited; `key` is None then if the key itself was a mistake."""


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.mistakes: list[Mistake] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.documents = 0

    def note(self, line: int, sentence: str) -> None:
        self.mistakes.append(Mistake(self.file, line, sentence))

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 0
        match event:
            case yaml.DocumentStartEvent():
                self._document(event, line)
            case yaml.AliasEvent():
                self._alias(str(event.anchor), line)
            case yaml.ScalarEvent():
                self._tag(event.tag, line)
                value = scalar(event.value) if event.implicit[0] else str(event.value)
                if "${" in event.value:
                    self.note(line, "`${...}` is not replaced by anything; write {env: NAME} in a field that takes it")
                node = Node(Place(self.file, line), value)
                self._add(node)
                self._anchor(event.anchor, node)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._tag(event.tag, line)
                empty: list[Node] | dict[str, Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
                self.stack.append(_Open(Node(Place(self.file, line), empty), event.anchor))
                if len(self.stack) > DEEPEST:
                    raise _Stop(line, f"values are nested more than {DEEPEST} deep; make it flatter")
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self.stack.pop()
                self._add(closed.node)
                self._anchor(closed.anchor, closed.node)

    def _document(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _Stop(line, "a second document begins here; put it in a file of its own")
        if event.version or event.tags:
            self.note(line, "YAML directives are not used here; remove the line that starts with %")

    def _tag(self, tag: str | None, line: int) -> None:
        if tag:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self.note(line, f"the tag `{shown}` is not used here; remove it (quotes make any value text)")

    def _anchor(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self.anchors[anchor] = node

    def _alias(self, anchor: str, line: int) -> None:
        if anchor not in self.anchors:
            inside = any(frame.anchor == anchor for frame in self.stack)
            what = (
                f"`*{anchor}` stands inside its own value" if inside else f"there is no `&{anchor}` before `*{anchor}`"
            )
            raise _Stop(line, f"{what}; write out what is meant")
        self._add(self.anchors[anchor], Place(self.file, line))

    def _add(self, node: Node, place: Place | None = None) -> None:
        """Put a finished value where it belongs; `place` if it is an alias used there."""
        place = place or node.place
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        parent = frame.node
        self._grow(parent, node, place.line)
        if isinstance(parent.value, list):
            if node.value is None:
                self.note(place.line, f"this item of a list has no value; {GIVE_ONE}")
            parent.value.append(node)
        elif frame.place is None:
            frame.key, frame.place = self._key(parent, node, place), place
        else:
            if frame.key is not None:
                self._entry(parent, frame.key, frame.place, node)
            frame.key = frame.place = None

    def _grow(self, parent: Node, node: Node, line: int) -> None:
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.size > LARGEST:
            raise _Stop(line, f"aliases make this more than {LARGEST:,} values; write out what is meant")
        if parent.height > DEEPEST:
            raise _Stop(line, f"values are nested more than {DEEPEST} deep; make it flatter")

    def _key(self, parent: Node, node: Node, place: Place) -> str | None:
        """The key's text, or None after noting why it cannot be one."""
        key = node.value
        if not isinstance(key, str):
            shown = "a list or mapping" if isinstance(key, list | dict) else f"`{_as_written(key)}`"
            self.note(place.line, f"a key must be text, and {shown} is not; put it in quotes")
            return None
        if key == "<<":
            self.note(place.line, "merge keys (`<<`) are not used here; write the fields out")
            return None
        assert isinstance(parent.value, dict)
        if key in parent.value:
            self.note(place.line, f"`{key}` is already defined on line {parent.keys[key].line}; keep one of the two")
            return None
        return key

    def _entry(self, parent: Node, key: str, place: Place, node: Node) -> None:
        assert isinstance(parent.value, dict)
        if node.value is None:
            self.note(place.line, f"`{key}` has no value; {GIVE_ONE}")
        parent.value[key] = node
        parent.keys[key] = place


def _as_written(value: Scalar) -> str:
    """A scalar as a person writes it in YAML."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def items(node: Node | None) -> Iterable[tuple[str, Node]]:
    """The entries of a mapping, in the order of the file; nothing if it is not one."""
    return node.value.items() if node and isinstance(node.value, dict) else ()
