"""Asking today's policies about a call, with the votes that count today.

The call is admitted anew from the bytes kept beside its facts, so what is judged is what would be sent now. It must
never let anything but a verdict come out: whatever cannot be admitted or decided is a deny that says why.
"""

from collections.abc import Collection
from dataclasses import replace

from gateway.core import approval
from gateway.core.admit import Admission, Inadmissible, question_now
from gateway.core.call import Call
from gateway.core.facts import Judged
from gateway.core.verdict import Requirement, Verdict
from gateway.life import Life
from gateway.ports import Generation, Journal

NOTHING: frozenset[Requirement] = frozenset()


async def admission_of(life: Life, journal: Journal) -> Admission:
    """The call under the generation of this drive. Raises Inadmissible."""
    if life.admission is None:
        payload = await journal.payload(life.record.call.id) if life.durable else life.payload
        life.admission = life.generation.readmit(life.record.call, payload)
    return life.admission


def inadmissible(life: Life, no: Inadmissible, now: int) -> Judged:
    """The verdict on a call that can no longer be made."""
    verdict = Verdict(decision="deny", code=no.code, reasons=(no.reason,))
    return Judged(verdict=verdict, generation=life.generation.digest, fingerprint="", at=now)


async def judge(life: Life, journal: Journal, suspended: Collection[str] = ()) -> Judged:
    """The verdict of this moment, not yet written."""
    record, generation = life.record, life.generation
    if record.call.agent in suspended:
        verdict = Verdict(decision="deny", code="agent-suspended")
        return Judged(verdict=verdict, generation=generation.digest, fingerprint="", at=journal.now())
    try:
        admission = await admission_of(life, journal)
    except Inadmissible as no:
        return inadmissible(life, no, journal.now())
    call = admission.call
    met = approval.met(record, fingerprint=call.fingerprint, routes=generation.routes) if record.votes else NOTHING
    now = journal.now()
    question = question_now(admission, now_ms=now, attempt=len(record.tokens) + 1)
    verdict = generation.policies.judge(question, met)
    if verdict.decision == "hold":
        verdict = _held_by_somebody(verdict, call, generation)
    fact = Judged(verdict=verdict, generation=generation.digest, fingerprint=call.fingerprint, at=now)
    if verdict.decision != "hold":
        return fact
    return replace(fact, lacking=approval.lacking(record, fact, generation.routes))


def _held_by_somebody(verdict: Verdict, call: Call, generation: Generation) -> Verdict:
    """A question that nobody could answer is not asked: it is a no that says so."""
    agent = generation.routes.agents.get(call.agent)
    for requirement in verdict.requirements:
        group = generation.routes.groups.get(requirement.group)
        if group is None or agent is None or approval.unmanned(group, agent, generation.routes):
            reason = f"nobody in {requirement.group!r} may decide for {call.agent!r}; tell the gateway's operators"
            return Verdict(decision="deny", code="unmanned", policies=verdict.policies, reasons=(reason,))
    return verdict
