"""One send, and what it proved: turning a reply, or its absence, into facts.

Three results and only these (design section 5): answered, unsent, lost. When unsure, lost. It must never send
twice, and never send under a claim that may have run out.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.clock import uptime
from gateway.core.admit import LEASE_MARGIN_MS, Admission
from gateway.core.facts import Answered, Ended, Fact, Lost, Unsent
from gateway.core.lifecycle import proves_nothing
from gateway.core.payload import Answer
from gateway.core.routes import System
from gateway.core.segments import outgoing_traceparent, traceparent_in
from gateway.core.value import keyword_value, positional_value
from gateway.life import Life
from gateway.ports import BodyBroken, CredentialEchoed, NeverSent, Reply, SendLost, Upstream

log = logging.getLogger("gateway.sending")

STREAMED = ("text/event-stream", "application/x-ndjson", "application/stream+json")
"""Content types whose parts matter as they come; never gathered first."""


@keyword_value
class Limits:
    """Sizes in bytes; see docs/operations.md."""

    body: int = 10 * 1024 * 1024
    held_body: int = 1024 * 1024
    kept_answer: int = 1024 * 1024
    via: str = "policy-gateway"


@positional_value
class Sent:
    """What came of one send."""

    facts: tuple[Unsent | Lost | Answered, *tuple[Ended, ...]]
    answer: Answer | None = None
    """The whole answer, if it is small."""
    kept: Answer | None = None
    """The same, if it must be there for whoever asks later."""
    reply: Reply | None = None
    """Still streaming; whoever takes it closes it."""
    recorded: Admission | None = None
    """The call, if its tool says what is kept of the answer."""

    @property
    def token(self) -> str:
        """Of the claim; empty for a read that nobody was asked about."""
        return self.facts[0].token

    @property
    def is_withheld(self) -> bool:
        first = self.facts[0]
        return isinstance(first, Answered) and first.withheld

    def unkept(self) -> "Sent":
        """The same if the answer is told, but there is no room to keep it."""
        first, *ends = self.facts
        assert isinstance(first, Answered), "only answers are kept"
        return replace(self, facts=(replace(first, kept=False), *ends), kept=None)

    def withheld(self, why: str) -> "Sent":
        """The same if nobody may have what came."""
        return Sent((Lost(token=self.token, error=why, at=self.facts[0].at),))


def lease_ms(system: System) -> int:
    """How long a claim for this system lasts: longer than any send to it."""
    return round(system.timeout_seconds * 1000) + LEASE_MARGIN_MS


async def send(
    upstream: Upstream, admission: Admission, life: Life, token: str, limits: Limits, now: Callable[[], int]
) -> Sent:
    """Send the call once. `token` is the claim's; a read has none."""
    record = life.record
    if token and uptime() >= life.claimed + LEASE_MARGIN_MS / 1000 / 2:
        return Sent(
            (Unsent(token=token, error="writing the claim took so long that it could run out while sending", at=now()),)
        )
    try:
        reply = await upstream.send(
            admission.system, admission.tool, admission.request, _extra(admission, life, token, limits)
        )
    except NeverSent as error:
        return Sent((Unsent(token=token, error=str(error), at=now()),))
    except SendLost as error:
        return Sent((Lost(token=token, error=str(error), at=now()),))
    except Exception as error:  # nothing else that an adapter can raise proves that nothing was sent
        log.exception("sending call %s failed in an unknown way", record.call.id)
        return Sent((Lost(token=token, error=type(error).__name__, at=now()),))
    if proves_nothing(record.call, reply.status, resent=len(record.tokens) > 1):
        return await _lost(reply, token, limits, now)
    sent = await _answered(reply, token, admission.salt, limits, now, keep=record.call.acts or bool(record.asked))
    if admission.tool.record is not None and not sent.is_withheld:
        sent = replace(sent, recorded=admission)
    return sent


def written(sent: Sent, facts: Sequence[Fact]) -> bool:
    """True if what came of this send is among these facts; its time is the journal's, so that cannot tell."""
    first = sent.facts[0]
    for fact in reversed(facts):  # a loop, because any() costs twice as much and each effect asks twice
        if fact is first or (type(fact) is type(first) and replace(fact, at=first.at) == first):
            return True
    return False


async def _answered(
    reply: Reply, token: str, salt: bytes, limits: Limits, now: Callable[[], int], *, keep: bool
) -> Sent:
    kind = _header(reply, b"content-type").partition(";")[0].strip().lower()
    if kind in STREAMED:
        return Sent((Answered(token=token, status=reply.status, at=now()),), reply=reply)
    try:
        body = await reply.read(limits.kept_answer)
    except BodyBroken:
        await reply.close()
        return Sent(
            (Answered(token=token, status=reply.status, at=now()), Ended(length=0, sha256="", whole=False, at=now()))
        )
    except CredentialEchoed:
        await reply.close()
        return Sent((Answered(token=token, status=reply.status, withheld=True, at=now()),))
    if body is None:
        return Sent((Answered(token=token, status=reply.status, at=now()),), reply=reply)
    answer = _answer(reply, body)
    digest = hashlib.sha256(salt + body).hexdigest()
    fact = Answered(token=token, status=reply.status, length=len(body), sha256=digest, kept=keep, at=now())
    return Sent((fact,), answer, answer if keep else None)


async def drain(reply: Reply, salt: bytes) -> Ended:
    """Read a body that nobody waits for, to know its digest."""
    digest, length, whole = hashlib.sha256(salt), 0, False
    try:
        async for chunk in reply.chunks():
            digest.update(chunk)
            length += len(chunk)
        whole = True
    except (BodyBroken, CredentialEchoed):
        pass
    finally:
        await reply.close()
    return Ended(length=length, sha256=digest.hexdigest(), whole=whole)


async def _lost(reply: Reply, token: str, limits: Limits, now: Callable[[], int]) -> Sent:
    """A status that proves nothing. The agent gets it as it came, the record says lost."""
    try:
        body = await reply.read(limits.kept_answer)
    except (BodyBroken, CredentialEchoed):
        body = None
    await reply.close()
    lost = Lost(token=token, error=f"status {reply.status} does not prove what happened", status=reply.status, at=now())
    return Sent((lost,), _answer(reply, body) if body is not None else None)


def _answer(reply: Reply, body: bytes) -> Answer:
    headers = tuple([pair for pair in reply.headers if pair[0] != b"set-cookie"])
    return Answer(status=reply.status, headers=headers, body=body)


def _header(reply: Reply, name: bytes) -> str:
    for found, value in reply.headers:
        if found == name:
            return value.decode("latin-1")
    return ""


def _traceparent(life: Life, token: str) -> str:
    if life.fresh:
        return traceparent_in(life.record.call, 1, token)
    return outgoing_traceparent(life.facts, token)


def _extra(admission: Admission, life: Life, token: str, limits: Limits) -> tuple[tuple[str, str], ...]:
    extra = [("via", f"1.1 {limits.via}"), ("traceparent", _traceparent(life, token))]
    if admission.tool.send_key:
        extra.append((admission.tool.send_key.lower(), f"gw-{admission.call.id}"))
    return tuple(extra)
