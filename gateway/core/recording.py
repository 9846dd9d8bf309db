"""What of a call is kept for the record beyond its facts, as the tool's `record:` says; and what is masked in it.

A mask is applied before anything is written, and where it does not fit it masks more, never less: a path that cannot be
followed to its end masks the value at which it stops. It must never be asked afterwards what a copy was: a copy is
bytes, and its salted digest is in the facts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.payload import Answer, pack_answer
from gateway.core.value import positional_value

How = Literal["digest", "redacted", "full"]
KEEP_SECONDS = 400 * 24 * 3600.0
MASKED = "[masked]"
KEPT = "kept."
"""Fields of a payload that hold copies are `kept.<part>.<milliseconds to keep it>`. A copy is the call's salt and what
is kept. A journal has it until it is moved to the payload store, whatever becomes of the rest of a payload."""
EACH = "[]"
"""A step of a path: every element of a list."""
NOT_JSON = "the answer is not JSON, so it could not be masked"
STREAMED = "the answer streamed past, or is larger than what is kept"
NO_COPY = "these arguments have no JSON form"

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """`record:` of a tool."""

    input: How = "digest"
    output: How = "digest"
    mask: tuple[Steps, ...] = ()
    keep_seconds: float = KEEP_SECONDS


@positional_value
class Copy:
    """Bytes to keep; or, with `why`, the reason why only digests are kept though more was asked for."""

    how: How
    data: bytes = b""
    masked: tuple[str, ...] = ()
    """Paths that were found and masked."""
    why: str = ""


def copy_of_input(record: Recording, arguments: Mapping[str, object]) -> Copy | None:
    """The typed arguments as canonical JSON; None if nothing was asked for."""
    if record.input == "digest":
        return None
    return _json_copy(arguments, record.input, record.mask, NO_COPY)


def copy_of_answer(record: Recording, answer: Answer | None) -> Copy | None:
    """The answer as it came if all of it is kept, else its masked body; None if nothing was asked for.

    `answer`: None if it is not in hand.
    """
    if record.output == "digest":
        return None
    if answer is None:
        return Copy("digest", why=STREAMED)
    if record.output == "full":
        return Copy("full", pack_answer(answer))
    try:
        body = json.loads(answer.body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return Copy("digest", why=NOT_JSON)
    return _json_copy(body, "redacted", record.mask, NOT_JSON)


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _json_copy(value: object, how: How, mask: Sequence[Steps], otherwise: str) -> Copy:
    try:
        masked, found = redacted(value, mask) if how == "redacted" else (value, ())
        return Copy(how, canonical(masked), found)
    except (ValueError, TypeError, RecursionError):
        return Copy("digest", why=otherwise)


def canonical(value: object) -> bytes:
    """Sorted keys, no spaces, every integer whole. Raises ValueError for what JSON cannot say."""
    told = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return told.encode("utf-8", "surrogatepass")


def redacted(value: object, mask: Sequence[Steps]) -> tuple[object, tuple[str, ...]]:
    """`value` with everything that the paths lead to replaced, and those paths that led to something."""
    found = []
    for steps in mask:
        value, hit = _masked(value, steps)
        if hit:
            found.append(path_text(steps))
    return value, tuple(found)


def _masked(value: Any, steps: Steps) -> tuple[Any, bool]:
    if value is None:
        return value, False
    if not steps:
        return MASKED, True
    step, rest = steps[0], steps[1:]
    if isinstance(value, list | tuple):
        inner = rest if step == EACH else steps  # a list that the path did not expect: all of its elements
        each = [_masked(item, inner) for item in value]
        return [item for item, _ in each], any(hit for _, hit in each)
    if isinstance(value, Mapping):
        if step == EACH:
            return _masked(value, rest)
        hits = [name for name in value if name == step or str(name).lower() == step.lower()]
        each_named = {name: _masked(value[name], rest) for name in hits}
        changed = {name: item for name, (item, _) in each_named.items()}
        return {**value, **changed}, any(hit for _, hit in each_named.values())
    return MASKED, True  # it should have been something to look into: better all of it than nothing


def path_text(steps: Steps) -> str:
    """As it is written in routes.yaml."""
    return "".join(step if step == EACH else f".{step}" for step in steps).removeprefix(".")
