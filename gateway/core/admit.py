"""From a request that was read to a call that can be judged: the straight line before the first fact.

Everything here is decided from values: who asks (the agent), what for (tool and arguments), as what (fingerprint
and match digest). The same function serves a fresh request and, through `readmit`, a call that waited for hours
while routes.yaml changed; so nothing that is sent can differ from what was judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from gateway.core.call import Call, Request, fingerprint, key_pointer, match_digest
from gateway.core.previews import SECONDS
from gateway.core.routes import Agent, System, Tool
from gateway.core.value import keyword_value
from gateway.core.verdict import Question

LEASE_MARGIN_MS = 5_000
"""A claim outlives the system's total timeout by this much: time to write the outcome down."""


REQUEST_NOT_KEPT = "request-not-kept"
"""Code of Inadmissible: the call may be as permitted as ever, but there is nothing left to judge it by."""


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


@keyword_value
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


@keyword_value
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
    pointers: Callable[[], tuple[str, str]] | None = None
    """Of a new call: match digest and key pointer. An effect has them already; a read needs them only if it is held."""

    def identified(self) -> Call:
        """The call with its pointers, now that it is held."""
        if self.call.match or self.pointers is None or not self.tool.dedupe:
            return self.call
        match, key = self.pointers()
        return replace(self.call, match=match, key=key)


@keyword_value
class Edit:
    """A call with arguments that a person changed."""

    admission: Admission
    request: bytes
    """To keep beside the facts instead of the agent's own."""
    changed: tuple[str, ...]
    """Names of the arguments that differ."""


def admit(
    asker: Asker, system: System, tool: Tool, request: Request, arguments: Arguments, *,
    call_id: str, salt: bytes, deployment_key: bytes,
) -> Admission:  # fmt: skip
    """A new call. `call_id` and `salt` are fresh and random; `deployment_key` is secret."""
    agent, user = asker.agent.name, asker.user
    given = asker.key if asker.key is not None else _key_among(arguments.input, tool)

    def pointers() -> tuple[str, str]:
        """Match digest and name of the key pointer."""
        match = match_digest(
            key=deployment_key, agent=agent, user=user, run=asker.run, tool=tool.name, request=request,
            declared_headers=arguments.declared_headers, comparable_body=arguments.comparable_body,
        )  # fmt: skip
        return match, key_pointer(agent=agent, user=user, tool=tool.name, key=match if given is None else f"={given}")

    match, key = pointers() if tool.acts and tool.dedupe else ("", "")
    call = Call(
        id=call_id, agent=agent, user=user, run=asker.run, system=system.name, tool=tool.name, effect=tool.effect,
        method=request.method, resource=_resource(tool, arguments), match=match, key=key, key_given=given is not None,
        fingerprint=_fingerprint(agent, user, system, tool, request, arguments, salt), repeatable=tool.repeatable,
        keeps_ms=round(tool.system_keeps_seconds * 1000),
        keep_ms=round((tool.window_seconds if given is None else tool.keep_seconds) * 1000),
        not_acted=_listed(tool.not_acted), doubtful=_listed(tool.doubtful),
        source_ip=asker.source_ip, traceparent=asker.traceparent, reason=asker.reason,
    )  # fmt: skip
    return _admission(call, system, tool, request, arguments, salt, pointers)


@lru_cache(maxsize=256)  # every call of a tool has the same few
def _listed(statuses: frozenset[int]) -> tuple[int, ...]:
    return tuple(sorted(statuses))


def asks_for(held: Call, agent: Agent) -> Asker:
    """Whoever looks at what a held call is about does it in the name of its agent, within its run."""
    return Asker(
        agent=agent, user=held.user, run=held.run, reason=f"preview for call {held.id}", traceparent=held.traceparent,
        source_ip=held.source_ip,
    )  # fmt: skip


def look(
    asker: Asker, system: System, tool: Tool, request: Request, arguments: Arguments, *, call_id: str, salt: bytes
) -> Admission:
    """A read for the approvers of another call: nothing attaches to it, and it may take only so long."""
    system = replace(system, timeout_seconds=min(system.timeout_seconds, SECONDS))
    tool = replace(tool, dedupe=False)
    return admit(asker, system, tool, request, arguments, call_id=call_id, salt=salt, deployment_key=b"")


def readmit(
    call: Call, system: System, tool: Tool, request: Request, arguments: Arguments, *, salt: bytes
) -> Admission:
    """A call that exists, as it would be admitted today: same identity, today's fingerprint, arguments and resource.

    Raises Inadmissible if the tool is another kind of tool now: a read that became an effect would be sent without a
    claim, and one whose system no longer takes our key would be sent again without it.
    """
    if tool.acts != call.acts or (call.repeatable and not tool.repeatable):
        raise Inadmissible("tool-changed", f"{tool.name!r} has changed since this call was made; make the call anew")
    digest = _fingerprint(call.agent, call.user, system, tool, request, arguments, salt)
    today = replace(call, fingerprint=digest, resource=_resource(tool, arguments))
    return _admission(today, system, tool, request, arguments, salt)


def _admission(
    call: Call, system: System, tool: Tool, request: Request, arguments: Arguments, salt: bytes,
    pointers: Callable[[], tuple[str, str]] | None = None,
) -> Admission:  # fmt: skip
    question = Question(
        agent=call.agent, action=tool.name, resource_type=tool.resource_type, resource_id=arguments.resource_id,
        system=system.name, input=arguments.input, call={},
    )  # fmt: skip
    return Admission(
        call=call, system=system, tool=tool, request=request, question=question, extra=arguments.extra, salt=salt,
        pointers=pointers,
    )  # fmt: skip


def _fingerprint(
    agent: str, user: str | None, system: System, tool: Tool, request: Request, arguments: Arguments, salt: bytes
) -> str:
    return fingerprint(
        salt=salt, agent=agent, user=user, origin=system.origin + system.base_path,
        credential=str(system.credential) if system.credential else "", tool=tool.name, request=request,
        key_header=tool.send_key, declared_headers=arguments.declared_headers,
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
