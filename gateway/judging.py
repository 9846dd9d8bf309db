"""Asking today's policies about a call, with the votes that count today.

The call is admitted anew from the bytes kept beside its facts, so what is judged is what would be sent now. It must
never let anything but a verdict come out: whatever cannot be admitted or decided is a deny that says why.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from gateway.core import approval
from gateway.core.admit import Admission, Inadmissible, question_now
from gateway.core.call import Call
from gateway.core.facts import Judged
from gateway.core.grants import Grant, lifted, stands
from gateway.core.verdict import Question, Requirement, Verdict
from gateway.life import Life
from gateway.ports import Generation, Journal
from gateway.standing import Standing

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


async def judge(
    life: Life, journal: Journal, suspended: Collection[str] = (), standing: Standing | None = None
) -> Judged:
    """The verdict of this moment, not yet written. Without `standing`, as if there were no standing grants."""
    record, generation = life.record, life.generation
    if record.call.agent in suspended:
        verdict = Verdict(decision="deny", code="agent-suspended")
        return Judged(verdict=verdict, generation=generation.digest, fingerprint="", at=journal.now())
    try:
        admission = life.admission or await admission_of(life, journal)
    except Inadmissible as no:
        return inadmissible(life, no, journal.now())
    call = admission.call
    now, met = journal.now(), NOTHING
    if record.votes:
        met = approval.met(record, fingerprint=call.fingerprint, routes=generation.routes, now=now)
    question = question_now(admission, now_ms=now, attempt=len(record.tokens) + 1)
    verdict = generation.policies.judge(question, met)
    if verdict.decision == "hold" and standing is not None and (grants := standing.of(call.agent, call.tool)):
        verdict = _with_grants(verdict, grants, question, met, life, call.fingerprint)
    if verdict.decision == "hold":
        verdict = _held_by_somebody(verdict, call, generation)
    fact = Judged(verdict=verdict, generation=generation.digest, fingerprint=call.fingerprint, at=now)
    if verdict.decision != "hold":
        return fact
    weighed = now if any(vote.undo and vote.at + vote.undo > now for vote in record.votes) else 0
    return replace(fact, lacking=approval.lacking(record, fact, generation.routes), weighed=weighed)


def _with_grants(
    verdict: Verdict, grants: Sequence[Grant], question: Question, met: frozenset[Requirement], life: Life, print_: str
) -> Verdict:
    """What the policies say of a call that they hold, when standing grants meet some of what it waits for."""
    record, generation = life.record, life.generation
    routes, now, wanted = generation.routes, question.call["now"], verdict.requirements
    assert isinstance(now, int), "it is the gateway that says what time it is"
    able = [each for each in grants if each.requirement in wanted and stands(each, record, routes, now=now)]
    matching = generation.granting.matching(question, able) if able else ()
    found = lifted(matching, wanted, record, print_, routes)
    if not found:
        return verdict
    return replace(generation.policies.judge(question, met | found.keys()), granted=tuple(found.values()))


def _held_by_somebody(verdict: Verdict, call: Call, generation: Generation) -> Verdict:
    """A question that nobody could answer is not asked: it is a no that says so."""
    agent = generation.routes.agents.get(call.agent)
    for requirement in verdict.requirements:
        group = generation.routes.groups.get(requirement.group)
        if group is None or agent is None or approval.unmanned(group, agent, generation.routes):
            reason = f"nobody in {requirement.group!r} may decide for {call.agent!r}; tell the gateway's operators"
            return Verdict(decision="deny", code="unmanned", policies=verdict.policies, reasons=(reason,))
    return verdict
