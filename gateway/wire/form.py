"""Query strings and urlencoded bodies as trees: `metadata[order]=7`, `items[0][price]=..`, `expand[]=x`.

Nobody standardised brackets, and servers differ in the odd cases: which of two equal names counts, what
`a=1&a[b]=2` means, whether `a[1]` before `a[0]` is another order. Only what all of them read alike is accepted. This
file knows no types; `gateway.wire.typed` gives the strings their meaning from the tool's schema.
"""

import re
from collections.abc import Container

from gateway.errors import AmbiguousRequest
from gateway.wire.strict_json import MOST_DEPTH
from gateway.wire.target import decoded_field

MOST_FIELDS = 1000
"""PHP and Django silently stop reading (or refuse) after so many, so more would not be read alike."""
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEVER_RAW = re.compile(r"[\x00-\x20;\x7f]")  # every encoder escapes these; `;` separates fields on some servers
_BRACKETED = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_KEYS = re.compile(r"\[([^\[\]]*)\]")


class Repeated(list[str]):
    """The values of one name that was given plainly more than once: `a=1&a=2`."""


class Items(list[str]):
    """The values of a name with empty brackets: `a[]=1&a[]=2`."""


Tree = str | Repeated | Items | dict[str, "Tree"]


def body_text(body: bytes) -> str:
    """A urlencoded body as text, still encoded. Raises AmbiguousRequest."""
    try:
        text = body.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise AmbiguousRequest("the form is not UTF-8") from None
    if _NEVER_RAW.search(text):
        raise AmbiguousRequest("the form has a space, `;` or control character that must be percent-encoded")
    if "%" in text and _BAD_ESCAPE.search(text):
        raise AmbiguousRequest("the form has a % that is not followed by two hex digits")
    return text


def parse(text: str, whole: Container[str] = ()) -> dict[str, Tree]:
    """The fields of a query or form as a tree. Raises AmbiguousRequest.

    `whole`: declared names; one that contains brackets is a name, not a path.
    """
    root: dict[str, Tree] = {}
    if not text:
        return root
    pieces = text.split("&", MOST_FIELDS + 1)
    if len(pieces) > MOST_FIELDS:
        raise AmbiguousRequest(f"it has more than {MOST_FIELDS} fields, where some systems stop reading")
    for piece in pieces:
        if piece:
            raw_name, _, raw_value = piece.partition("=")
            _add(root, decoded_field(raw_name), decoded_field(raw_value), whole)
    return root


def _add(root: dict[str, Tree], name: str, value: str, whole: Container[str]) -> None:
    if ("[" in name or "]" in name) and name not in whole:
        _add_bracketed(root, name, value)
        return
    if not name:
        raise AmbiguousRequest("a field has no name")
    match root.get(name):
        case None:
            root[name] = value
        case str() as first:
            root[name] = Repeated([first, value])
        case Repeated() as values:
            values.append(value)
        case _:
            raise _conflict(name)


def _add_bracketed(root: dict[str, Tree], name: str, value: str) -> None:
    found = _BRACKETED.fullmatch(name)
    if found is None:
        raise AmbiguousRequest("the brackets in the name of a field do not match")
    *path, last = (found[1], *_KEYS.findall(found[2]))
    if len(path) >= MOST_DEPTH:
        raise AmbiguousRequest(f"the name of a field has more than {MOST_DEPTH} brackets")
    if "" in path:
        raise AmbiguousRequest("a field has empty brackets before its end, where the item it belongs to is unclear")
    parents = path if last else path[:-1]
    node = root
    for key in parents:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise _conflict(found[1])
        node = child
    if last:
        if last in node:
            raise AmbiguousRequest("a field with brackets is given twice")
        node[last] = value
        return
    items = node.setdefault(path[-1], Items())
    if not isinstance(items, Items):
        raise _conflict(found[1])
    items.append(value)


def _conflict(name: str) -> AmbiguousRequest:
    return AmbiguousRequest(f"the field {name[:60]!r} is given in more than one shape")
