"""Requests and answers as bytes, for keeping beside the facts. `unpack(pack(x)) == x`."""

from dataclasses import field
from typing import Any

import orjson

from gateway.core.call import Request
from gateway.core.value import keyword_value


@keyword_value
class Answer:
    """A system's answer, or what of it reached us, as the agent gets it: already stripped of what it must not see."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """latin-1 text, lower-case names, in order."""
    body: bytes
    raw: tuple[tuple[bytes, bytes], ...] = field(default=(), compare=False, repr=False)
    """The same headers as bytes, if they are at hand."""


def pack_request(request: Request) -> bytes:
    head = [request.system, request.method, request.target, request.headers]
    return _pack(head, request.body)


def unpack_request(data: bytes) -> Request:
    (system, method, target, headers), body = _unpack(data)
    return Request(
        system=system, method=method, target=target, headers=tuple((name, value) for name, value in headers), body=body
    )


def pack_answer(answer: Answer) -> bytes:
    return _pack([answer.status, answer.headers], answer.body)


def unpack_answer(data: bytes) -> Answer:
    (status, headers), body = _unpack(data)
    return Answer(status=status, headers=tuple((name, value) for name, value in headers), body=body)


def _pack(head: list[Any], body: bytes) -> bytes:
    first = orjson.dumps(head)
    return b"%d\n" % len(first) + first + body


def _unpack(data: bytes) -> tuple[list[Any], bytes]:  # the shapes are those that _pack wrote
    size, _, rest = data.partition(b"\n")
    end = int(size)
    return orjson.loads(rest[:end]), rest[end:]
