"""`preview:` of a tool: looks at the same system that show an approver what a held call is about.

A preview is a read like any other: a declared tool, with the agent as principal, judged by the policies and recorded as
a call of its own. What of its answer is shown is kept beside the held call as a *picture*; facts carry digests. This
file says what a read asks for and what its answer shows. It must never let an answer decide anything but whether what
was shown is still so.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gateway.core.call import FORMAT, joined
from gateway.core.one_line import value as in_words
from gateway.core.one_line import visible
from gateway.core.payload import Answer
from gateway.core.summaries import MISSING, Slot, Summary, parse, reach, render, told

MOST_BYTES = 64 * 1024
"""Of an answer. What people read fits in it many times."""
SECONDS = 5.0
"""For one look, from connecting to the end of the answer; less if the system's own timeout is shorter."""
LONGEST_VALUE = 1024
"""Bytes of a value as JSON that are kept; of a longer one, only how it is told in words."""
LONGEST_FAILURE = 300
MOST_DIGITS = 15
"""Of a whole number that everybody reads exactly (2^53); a longer one is text."""
HEADER = "header:"
"""Begins the name of a field that stands in the answer's headers: `header:etag`."""

Picture = dict[str, Any]
"""What one look showed: `name`, `tool`, `call`, `at`, `title`, `fields`, `bind`, `failed`, `unread`, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One look, as it is declared."""

    name: str
    tool: str
    """Full name of the read."""
    given: tuple[tuple[str, Summary], ...]
    """Its arguments, in order and with repetitions: the name as it is sent, and text with arguments of the call."""
    show: tuple[Slot, ...]
    bind: tuple[str, ...] = ()
    """Fields, as `show` names them, that must be the same when the call is released."""
    becomes: tuple[tuple[str, Summary], ...] = ()
    """Fields that the call itself sets, and to what."""
    title: tuple[str, ...] = ()
    """Path of the field that names what was looked at."""


NOTHING_KEPT: Mapping[str, Any] = {"fields": [], "failed": "what was shown is no longer kept"}
"""Of a picture that cannot be compared any more, so that nobody can say that it is still so."""


class Unlookable(Exception):
    """There is nothing to see. A sentence about why, without any value."""


def field(text: str) -> Slot:
    """`amount`, `amount|money:currency`, `customer.name`, `/customer/na.me` or `header:etag`. Raises ValueError."""
    parts = parse(f"{{{text}}}")
    if len(parts) != 1 or not isinstance(slot := parts[0], Slot):
        raise ValueError(f"has `{text}`; write a field as name, name.inside, /name/inside or header:name")
    if slot.name.startswith("/"):
        steps = slot.name[1:].split("/")
        return replace(slot, path=tuple(step.replace("~1", "/").replace("~0", "~") for step in steps))
    if slot.name.startswith(HEADER):
        return replace(slot, path=(slot.name.lower(),))
    return slot


# --- What a read asks for -------------------------------------------------------------------------------------------


def asked_for(preview: Preview, arguments: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """The arguments of the read, as text. One that names what the call does not have is left out; whether the read can
    do without it, its own input says."""
    found = ((name, _filled(text, arguments)) for name, text in preview.given)
    return tuple((name, value) for name, value in found if value is not None)


def _filled(text: Summary, arguments: Mapping[str, object]) -> str | None:
    found = [part if isinstance(part, str) else _plain(reach(arguments, part.path)) for part in text]
    return None if None in found else "".join(part for part in found if part is not None)


def _plain(value: object) -> str | None:
    """As it stands in an address."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case _:
            return None


# --- What an answer shows -------------------------------------------------------------------------------------------


def looked_at(preview: Preview, answer: Answer, arguments: Mapping[str, object], *, at: int, call: str) -> Picture:
    """The picture. Raises Unlookable."""
    if not 200 <= answer.status < 300:
        raise Unlookable(f"the system answered {answer.status}")
    headers = {HEADER + name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    body: object = MISSING
    if answer.body and any(not slot.name.startswith(HEADER) for slot in preview.show):
        if headers.get(HEADER + "content-encoding", "identity").lower() != "identity":
            raise Unlookable("the answer is encoded, although that was not accepted")
        body = _json(answer.body)
    becomes = dict(preview.becomes)
    fields = [_field(slot, headers, body) for slot in preview.show]
    for shown in fields:
        if text := becomes.get(shown["field"]):
            shown["after"] = render(text, arguments)
    title = reach(body, preview.title) if preview.title else MISSING
    return _picture(preview, call, at) | {
        "title": "" if title is MISSING or title is None else in_words(title),
        "fields": fields,
    }


def failed(preview: Preview, why: str, *, at: int, call: str = "") -> Picture:
    """The picture of a look that showed nothing."""
    return _picture(preview, call, at) | {"failed": visible(why)[:LONGEST_FAILURE]}


def _picture(preview: Preview, call: str, at: int) -> Picture:
    return {
        "name": preview.name, "tool": preview.tool, "call": call, "at": at, "title": "", "fields": [],
        "bind": list(preview.bind), "failed": "", "unread": "",
    }  # fmt: skip


def _field(slot: Slot, headers: Mapping[str, str], body: object) -> Picture:
    found = reach(headers if slot.name.startswith(HEADER) else body, slot.path)
    name = slot.name.lower() if slot.name.startswith(HEADER) else slot.name
    if found is MISSING:
        return {"field": name, "text": "(not there)"}
    small = _shallow(found) and len(_canonical(found)) <= LONGEST_VALUE
    kept = {"value": found} if small else {"sha256": _sha256(found)}
    return {"field": name, "text": told(slot, found, body), **kept}


def _shallow(value: object, depth: int = 8) -> bool:
    """What every encoder that a notice meets can write."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_shallow(item, depth - 1) for item in inside)


def _json(body: bytes) -> object:
    """Strictly: what two parsers read differently shows nothing. Numbers that JSON tools round become text."""
    try:
        return json.loads(
            body, parse_int=_whole, parse_float=str, parse_constant=_refuse, object_pairs_hook=_without_repetition
        )
    except (ValueError, RecursionError):
        raise Unlookable("the answer is not JSON that every parser reads alike") from None


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same key twice")
    return found


# --- What is remembered of it ---------------------------------------------------------------------------------------


def digest(picture: Picture, salt: bytes) -> str:
    """Of everything that was shown. Salted, since what is shown can often be guessed."""
    return _salted(salt, [[item["field"], _known(item)] for item in picture["fields"]])


def bound(picture: Picture, salt: bytes) -> str:
    """Of what must not change; empty if nothing must. That nothing was seen is no value, but must not change either."""
    return _salted(salt, sorted(_bound(picture).items())) if picture["bind"] else ""


def changed(before: Picture, after: Picture) -> tuple[str, ...]:
    """Names of the bound fields that are not as they were shown, whatever else of the preview changed."""
    was, now = _bound(before), _bound(after)
    return tuple(name for name in dict.fromkeys((*was, *now)) if was.get(name) != now.get(name))


def with_difference(before: Picture, after: Picture) -> Picture:
    """`after`, each field that changed with the words that were shown before."""
    was = {item["field"]: item for item in before["fields"]}
    fields = []
    for item in after["fields"]:
        old = was.get(item["field"])
        differs = old is not None and _known(old) != _known(item)
        fields.append({**item, "was": old["text"]} if old is not None and differs else item)
    return {**after, "fields": fields}


def _bound(picture: Picture) -> dict[str, str]:
    seen = {item["field"]: _known(item) for item in picture["fields"]}
    return {name: seen.get(name, "not seen") for name in picture["bind"]}


def _known(item: Picture) -> str:
    """One text per value; none is that of something that is not there."""
    if "value" in item:
        return _sha256(item["value"])
    found: str = item.get("sha256", "")
    return found


def _sha256(value: object) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _salted(salt: bytes, value: object) -> str:
    return hashlib.sha256(joined([FORMAT, b"preview", salt, _canonical(value)])).hexdigest()


def pack(pictures: Iterable[Picture]) -> bytes:
    """As payload beside the held call."""
    return json.dumps(list(pictures), separators=(",", ":")).encode()


def unpack(data: bytes | None) -> list[Picture]:
    found: list[Picture] = json.loads(data) if data else []
    return found


def merged(known: Sequence[Picture], news: Sequence[Picture]) -> list[Picture]:
    """`known` with those of the same names replaced, and the new ones after them."""
    fresh = {picture["name"]: picture for picture in news}
    return [fresh.pop(picture["name"], picture) for picture in known] + list(fresh.values())
