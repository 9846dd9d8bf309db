"""Requests and answers as bytes, for keeping beside the facts. `unpack(pack(x)) == x`."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.call import Request
from gateway.core.value import keyword_value

UNREADABLE = "unreadable"
"""Of what a journal gives of a payload: why fields are missing that are there but cannot be read, for people."""


@keyword_value
class Answer:
    """A system's answer, or what of it reached us, as the agent gets it: already stripped of what it must not see."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """As received, lower-case names, in order."""
    body: bytes


def not_kept(payload: Mapping[str, bytes]) -> str:
    """Why there is no request to judge a call by."""
    why = payload.get(UNREADABLE, b"").decode()
    return f"The request of this call cannot be read: {why}." if why else "The request of this call is no longer kept."


def pack_request(request: Request) -> bytes:
    head = [request.system, request.method, request.target, request.headers]
    return _pack(head, request.body)


def unpack_request(data: bytes) -> Request:
    (system, method, target, headers), body = _unpack(data)
    return Request(
        system=system, method=method, target=target, headers=tuple((name, value) for name, value in headers), body=body
    )


def pack_answer(answer: Answer) -> bytes:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    return _pack([answer.status, headers], answer.body)


def unpack_answer(data: bytes) -> Answer:
    (status, headers), body = _unpack(data)
    found = tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
    return Answer(status=status, headers=found, body=body)


def _pack(head: list[Any], body: bytes) -> bytes:
    first = orjson.dumps(head)
    return b"%d\n" % len(first) + first + body


def _unpack(data: bytes) -> tuple[list[Any], bytes]:  # the shapes are those that _pack wrote
    size, _, rest = data.partition(b"\n")
    end = int(size)
    return orjson.loads(rest[:end]), rest[end:]
