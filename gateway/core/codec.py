"""Facts to bytes and back. `decode(encode(fact)) == fact`, for every fact, for ever.

The bytes are canonical JSON (RFC 8785): sorted keys, no floats, fields at their defaults left out. A fact never
contains foreign JSON, so nothing an agent writes can be read back as one of our types: strings stay strings, and a
field's type comes from this program, never from the data. The journal wraps each fact in an envelope with its time.
"""

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson

from gateway.core import facts
from gateway.core.deployment import DeploymentFact
from gateway.core.grants import GrantFact
from gateway.core.verdict import Verdict

TYPES: dict[str, type] = {cls.__name__: cls for cls in facts.Fact.__args__}
GRANT_TYPES: dict[str, type] = {cls.__name__: cls for cls in GrantFact.__args__}
DEPLOYMENT_TYPES: dict[str, type] = {cls.__name__: cls for cls in DeploymentFact.__args__}


class UnreadableFact(ValueError):
    """The journal holds a fact that this version does not know: it was written by a newer gateway, or damaged."""


def encode(fact: facts.Fact | GrantFact | DeploymentFact) -> bytes:
    """Canonical bytes of `fact`, without its time."""
    plain = _plain(fact)
    plain.pop("at", None)
    plain["type"] = type(fact).__name__
    try:
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a surrogate pair, as in an error text that names an odd file: no reason to lose a fact
        return orjson.dumps(_whole_characters(plain), option=orjson.OPT_SORT_KEYS)


def _whole_characters(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {name: _whole_characters(item) for name, item in value.items()}
        case list():
            return [_whole_characters(item) for item in value]
    return value


def decode(envelope: bytes) -> facts.Fact:
    """The fact in an envelope `{"at": ..., "by": ..., "fact": {...}}`, with its time."""
    fact: facts.Fact = _read(envelope, TYPES)
    return fact


def decode_grant(envelope: bytes) -> GrantFact:
    """The same for a fact about a standing grant."""
    fact: GrantFact = _read(envelope, GRANT_TYPES)
    return fact


def decode_deployment(envelope: bytes) -> DeploymentFact:
    """The same for a fact about the deployment."""
    fact: DeploymentFact = _read(envelope, DEPLOYMENT_TYPES)
    return fact


def _read(envelope: bytes, known: dict[str, type]) -> Any:
    """Raises UnreadableFact."""
    try:
        outer = orjson.loads(envelope)
        inner = outer["fact"]
        fact = _revive(known[inner.pop("type")], inner | {"at": outer["at"]})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFact(f"cannot read a fact ({error!r}); was it written by a newer gateway?") from error
    return fact


def envelope(fact: bytes, at: int, token: str) -> bytes:
    """What append.lua stores, for adapters that are not Redis."""
    return b'{"at":%d,"by":"%s","fact":%s}' % (at, token.encode(), fact)


def _is_primitive(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return all(map(_is_primitive, get_args(hint)))
    return get_origin(hint) is Literal or hint in _PRIMITIVES


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


_PRIMITIVES = frozenset((str, int, bool, type(None)))


def _plain(value: Any) -> dict[str, Any]:
    """The fields that are not at their defaults, by name."""
    cls = type(value)
    if cls not in _WRITTEN:
        _WRITTEN[cls] = _written_for(cls)
    return _WRITTEN[cls](value)


_WRITTEN: dict[type, Callable[[Any], dict[str, Any]]] = {}


def _written_for(cls: Any) -> Callable[[Any], dict[str, Any]]:
    """`_plain` for one class, written out field by field as dataclasses writes `__init__`.

    It runs for each fact of each call, and a loop over the fields costs five times as much.
    """
    names: dict[str, Any] = {"nested": _nested}
    always, lines = [], []
    for field in dataclasses.fields(cls):
        name, item = field.name, "{}" if _is_primitive(_hints(cls)[field.name]) else "nested({})"
        if field.default is dataclasses.MISSING:
            always.append(f"{name!r}: {item.format(f'value.{name}')}")
            continue
        names[f"default_{name}"] = field.default
        lines += [
            f"    it = value.{name}",
            f"    if it != default_{name}:",
            f"        found[{name!r}] = {item.format('it')}",
        ]  # fmt: skip
    written_out = ["def plain(value):", f"    found = {{{', '.join(always)}}}", *lines, "    return found"]
    exec("\n".join(written_out), names)  # noqa: S102 - made of the names of our own fields alone
    written: Callable[[Any], dict[str, Any]] = names["plain"]
    return written


def _nested(value: Any) -> Any:
    """A field that may hold more than a primitive."""
    if type(value) is tuple:
        return [item if type(item) in _PRIMITIVES else _plain(item) for item in value]
    if value is None:
        return None
    return _verdict(value) if type(value) is Verdict else _plain(value)


@functools.lru_cache(maxsize=1024)
def _verdict(verdict: Verdict) -> dict[str, Any]:
    """The same few are in most judgements. Nobody may change what this gives."""
    return _plain(verdict)


def _revive(hint: Any, value: Any) -> Any:
    return _reader(hint)(value)


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of this type of plain JSON. Made once: looking at types at every value costs twice as much."""
    origin, parts = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint)
    if origin is tuple:
        of_item = _reader(parts[0])
        return lambda value: tuple(of_item(item) for item in value)
    if origin in (Union, types.UnionType):  # something or None
        of_some = _reader(parts[0])
        return lambda value: None if value is None else of_some(value)
    if origin is Literal:
        return _one_of(parts)
    return _plain_value(hint) if isinstance(hint, type) else lambda value: value


def _object(cls: type) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in _hints(cls).items()}

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise TypeError(f"expected {cls.__name__}")
        return cls(**{name: readers[name](item) for name, item in value.items()})

    return read


def _one_of(known: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in known:
            raise TypeError(f"expected one of {known}")
        return value

    return read


def _plain_value(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:  # True is no number
            raise TypeError(f"expected {kind.__name__}")
        return value

    return read
