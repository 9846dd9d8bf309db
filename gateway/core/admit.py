"""From a request that was read to a call that can be judged: the straight line before the first fact.

Everything here is decided from values: who asks (the agent), what for (tool and arguments), as what (fingerprint
and match digest). The same function serves a fresh request and, through `readmit`, a call that waited for hours
while routes.yaml changed; so nothing that is sent can differ from what was judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.core.call import Call, Request, fingerprint, key_pointer, match_digest
from gateway.core.routes import Agent, System, Tool
from gateway.core.verdict import Question

LEASE_MARGIN_MS = 5_000
"""A claim outlives the system's total timeout by this much: time to write the outcome down."""


class Inadmissible(Exception):
    """The call cannot be made under today's routes: its tool, system or agent is gone, or its arguments do not fit."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Arguments(Protocol):
    """What `gateway.wire` read from a request."""

    @property
    def input(self) -> Mapping[str, object]: ...
    @property
    def extra(self) -> Mapping[str, object]: ...
    @property
    def declared_headers(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def comparable_body(self) -> bytes: ...
    @property
    def resource_id(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """What a request says about itself, beside the request."""

    agent: Agent
    user: str | None = None
    run: str | None = None
    key: str | None = None
    """The idempotency key, if the agent gave one."""
    reason: str = ""
    traceparent: str = ""
    source_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A call with everything needed to judge and send it, all of one generation."""

    call: Call
    system: System
    tool: Tool
    request: Request
    question: Question
    extra: Mapping[str, object]
    """Undeclared arguments of an open tool: for approvers, never for policies."""
    salt: bytes


def admit(
    asker: Asker, system: System, tool: Tool, request: Request, arguments: Arguments, *,
    call_id: str, salt: bytes, deployment_key: bytes,
) -> Admission:  # fmt: skip
    """A new call. `call_id` and `salt` are fresh and random; `deployment_key` is secret."""
    agent, user = asker.agent.name, asker.user
    match = key = ""
    given = asker.key if asker.key is not None else _key_among(arguments.input, tool)
    if tool.dedupe:
        match = match_digest(
            key=deployment_key, agent=agent, user=user, run=asker.run, tool=tool.name, request=request,
            declared_headers=arguments.declared_headers, comparable_body=arguments.comparable_body,
        )  # fmt: skip
        key = key_pointer(agent=agent, user=user, tool=tool.name, key=f"={given}" if given is not None else match)
    keep = tool.keep_seconds if given is not None else tool.window_seconds
    call = Call(
        id=call_id, agent=agent, user=user, run=asker.run, system=system.name, tool=tool.name, effect=tool.effect,
        method=request.method, resource=_resource(tool, arguments), match=match, key=key,
        fingerprint=_fingerprint(agent, user, system, tool, request, arguments, salt),
        key_given=given is not None, repeatable=tool.repeatable,
        lease_ms=round(system.timeout_seconds * 1000) + LEASE_MARGIN_MS,
        keeps_ms=round(tool.system_keeps_seconds * 1000), keep_ms=round(keep * 1000),
        not_acted=tuple(sorted(tool.not_acted)), doubtful=tuple(sorted(tool.doubtful)),
        source_ip=asker.source_ip, traceparent=asker.traceparent, reason=asker.reason,
    )  # fmt: skip
    return _admission(call, system, tool, request, arguments, salt)


def readmit(
    call: Call, system: System, tool: Tool, request: Request, arguments: Arguments, *, salt: bytes
) -> Admission:
    """A call that exists, as it would be admitted today: same identity, today's fingerprint and arguments."""
    digest = _fingerprint(call.agent, call.user, system, tool, request, arguments, salt)
    return _admission(replace(call, fingerprint=digest), system, tool, request, arguments, salt)


def _admission(
    call: Call, system: System, tool: Tool, request: Request, arguments: Arguments, salt: bytes
) -> Admission:
    question = Question(
        agent=call.agent, action=tool.name, resource_type=tool.resource_type, resource_id=arguments.resource_id,
        system=system.name, input=arguments.input, call={},
    )  # fmt: skip
    return Admission(
        call=call, system=system, tool=tool, request=request, question=question, extra=arguments.extra, salt=salt
    )


def _fingerprint(
    agent: str, user: str | None, system: System, tool: Tool, request: Request, arguments: Arguments, salt: bytes
) -> str:
    return fingerprint(
        salt=salt, agent=agent, user=user, origin=system.origin + system.base_path,
        credential=str(system.credential) if system.credential else "", tool=tool.name, request=request,
        declared_headers=arguments.declared_headers,
    )  # fmt: skip


def _resource(tool: Tool, arguments: Arguments) -> str:
    return f"{tool.resource_type}/{arguments.resource_id}" if tool.resource_type else ""


def _key_among(arguments: Mapping[str, object], tool: Tool) -> str | None:
    """The key in the argument that the tool names for it, if it is there."""
    value = arguments.get(tool.key_input) if tool.key_input else None
    return None if value is None else str(value)


def question_now(admission: Admission, *, now_ms: int, attempt: int) -> Question:
    """The question to ask the policies at this moment."""
    call = admission.call
    known: dict[str, object] = {
        "method": call.method, "key_given": call.key_given, "source_ip": call.source_ip, "now": now_ms,
        "attempt": attempt,
    }  # fmt: skip
    if call.run is not None:
        known["run"] = call.run
    if call.user is not None:
        known["user"] = call.user
    asked = admission.question
    return Question(
        agent=asked.agent, action=asked.action, resource_type=asked.resource_type, resource_id=asked.resource_id,
        system=asked.system, input=asked.input, call=known,
    )  # fmt: skip
