"""What somebody types after `gateway approvals edit ID`, as values, and as the difference that they are asked about.

`amount=300` takes the type that the argument has now: text stays text, whatever it looks like, and everything else is
JSON. It decides nothing: whether the call can be made with these arguments is for the control plane to say.
"""

import json
from collections.abc import Mapping, Sequence

from gateway.core.one_line import visible


class NotAnEdit(Exception):
    """A sentence about what was typed."""


def edited(given: Mapping[str, object], changes: Sequence[str], without: Sequence[str]) -> dict[str, object]:
    """The arguments that change, by name; None takes one away. Raises NotAnEdit."""
    found: dict[str, object] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise NotAnEdit(f"{change!r} is not NAME=VALUE, such as amount=300")
        found[name] = _value(given.get(name), text, new=name not in given)
    for name in without:
        if name not in given:
            raise NotAnEdit(f"the call has no argument {name!r} that could be left out")
        found[name] = None
    same = [name for name, value in found.items() if name in given and _equal(given[name], value)]
    if same:
        raise NotAnEdit(f"{same[0]} is {_shown(given[same[0]])} already")
    return found


def _value(now: object, text: str, *, new: bool) -> object:
    if isinstance(now, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if new or now is None:
            return text
        raise NotAnEdit(f"{text!r} is not JSON, as {_shown(now)} is; text would stand in quotes") from error


def _equal(one: object, other: object) -> bool:
    """As JSON: 1 is neither true nor "1"."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def difference(given: Mapping[str, object], changes: Mapping[str, object]) -> list[str]:
    """One line per argument: what it is, and what it would be."""
    width = max(len(visible(name)) for name in changes)
    return [
        f"    {visible(name):{width}}  {_shown(given[name]) if name in given else 'nothing'} -> "
        f"{'nothing' if value is None else _shown(value)}"
        for name, value in changes.items()
    ]


def _shown(value: object) -> str:
    return visible(json.dumps(value, ensure_ascii=False))
