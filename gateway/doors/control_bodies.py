"""What people and approvers' systems may send to the control plane, from bytes to values.

What is missing, misspelt or strange is refused with its name before anything is looked up.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from starlette.requests import Request

from gateway import control_errors, errors
from gateway.core.payload import Answer
from gateway.errors.base import listed, shortened
from gateway.wire import strict_json

BODY_LIMIT = 64 * 1024
"""A decision is a few hundred bytes; an operator's answer to a doubt a few thousand."""
DECISION = ("call", "approval", "decision", "approver", "fingerprint", "reason")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an operator found out about a call in doubt."""

    acted: bool
    note: str
    answer: Answer | None


async def body(request: Request, limit: int = BODY_LIMIT) -> bytes:
    """The whole body. Raises TooLarge."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise errors.TooLarge("request body", limit, "nothing: the control plane takes no more")
    return bytes(chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody said about a held call; a member that is not there is empty."""

    call: str
    approval: str
    decision: Literal["approve", "reject", "retract"]
    approver: str
    fingerprint: str
    reason: str
    edit: Mapping[str, object] | None


def decision(raw: bytes) -> Told:
    told = _object(raw)
    edit = told.get("edit")
    wrong = [] if edit is None or isinstance(edit, dict) else ['`edit` must be a JSON object, such as {"amount": 300}']
    if edit is not None and told.get("decision") != "approve":
        wrong.append("`edit` belongs to an approval: say `approve`, or leave `edit` out")
    found = {name: told.get(name, "") for name in DECISION}
    wrong += [f"`{name}` must be text" for name, value in found.items() if not isinstance(value, str)]
    if told.get("decision") not in ("approve", "reject", "retract"):
        wrong.append("`decision` must be approve, reject or retract")
    if wrong:
        raise control_errors.InvalidBody(wrong)
    return Told(**found, edit=edit)


def cancellation(raw: bytes) -> str:
    """The reason for ending a call; the body may be empty."""
    told = _object(raw) if raw else {}
    wrong = _unknown(told, ("reason",))
    if not isinstance(told.get("reason", ""), str):
        wrong.append("`reason` must be text")
    if wrong:
        raise control_errors.InvalidBody(wrong)
    return str(told.get("reason", ""))


def members(raw: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    """The members of an object that has no others. Raises InvalidBody."""
    told = _object(raw)
    if wrong := _unknown(told, known):
        raise control_errors.InvalidBody(wrong)
    return told


def resolution(raw: bytes) -> Resolution:
    told = _object(raw)
    outcome, note, answer = told.get("outcome"), told.get("note", ""), told.get("answer")
    wrong = _unknown(told, ("outcome", "note", "answer"))
    if outcome not in ("acted", "did-not-act"):
        wrong.append("`outcome` must be acted or did-not-act")
    if not isinstance(note, str):
        wrong.append("`note` must be text")
    given = None
    if answer is not None:
        given = _answer(answer)
        if given is None:
            wrong.append('`answer` must be {"status": 200, "body": ...}')
        elif outcome == "did-not-act":
            wrong.append("`answer` belongs to a call that acted; leave it out")
    if wrong:
        raise control_errors.InvalidBody(wrong)
    return Resolution(outcome == "acted", note, given)


def _object(raw: bytes) -> dict[str, Any]:
    value, _ = strict_json.loads(raw)
    if not isinstance(value, dict):
        raise control_errors.InvalidBody(["it must be a JSON object"])
    return value


def _unknown(told: Iterable[str], known: tuple[str, ...]) -> list[str]:
    found = []
    for name in sorted(set(told) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {listed(known)}"
        found.append(f"`{shortened(name, 40)}` is not known, {hint}")
    return found


def _answer(value: Any) -> Answer | None:
    status = value.get("status") if isinstance(value, dict) else None
    if type(status) is not int or not 100 <= status <= 599:
        return None
    content = value.get("body", "")
    raw = content.encode() if isinstance(content, str) else orjson.dumps(content, default=str)
    kind = b"text/plain; charset=utf-8" if isinstance(content, str) else b"application/json"
    return Answer(status=status, headers=((b"content-type", kind),), body=raw)
