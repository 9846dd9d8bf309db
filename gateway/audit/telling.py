"""One call or grant as lines for a terminal, or as JSON: its story, every fact with its place in the log, the proof."""

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.audit.finding import Found
from gateway.audit.trust import NO_KEY
from gateway.core.codec import UnreadableFact
from gateway.core.deployment import Loaded
from gateway.core.facts import Fact
from gateway.core.grants import Granted, GrantFact, Revoked, recall_grant
from gateway.core.leaf import NotALeaf
from gateway.core.one_line import visible
from gateway.core.record import recall
from gateway.core.story import Section, story
from gateway.core.timeline import line, state
from gateway.core.times import iso, moment, since, span
from gateway.ledger.evidence import Evidence, Proven, current, superseded
from gateway.ledger.note import BadNote, Verifier
from gateway.reading import aligned

UNREAD = "(this version cannot read it)"


def sections(found: Found) -> tuple[Section, ...]:
    """The story, as far as there is one."""
    if found.is_grant:
        return (Section("The grant", tuple(_grant(found))),)
    if not found.facts:
        return (Section("Nothing can be told", (("", f"its facts cannot be read {UNREAD}"),)),)
    try:
        return story(found.facts, found.erasures)
    except ValueError as error:
        return (Section("Nothing can be told", (("", visible(str(error))),)),)


def not_proved(found: Found, verifier: Verifier | None) -> str:
    """Why what is told may not be so, in a sentence; empty if it is proved."""
    return found.problems[0] if found.problems else "" if verifier is not None else NO_KEY


def standing(found: Found) -> str:
    """How it stands, in a word or two."""
    if found.is_grant:
        facts = _facts(found)
        return "revoked" if any(isinstance(fact, Revoked) for fact in facts) else "given"
    if not found.facts:
        return "unreadable"
    try:
        record = recall(found.facts)
    except ValueError:
        return "unreadable"
    return state(record) + (f" {record.answer.status}" if record.answer is not None else "")


def lines(found: Found, verifier: Verifier | None, now: int) -> Iterator[str]:
    """The whole for a person."""
    what = "Grant" if found.is_grant else "Call"
    yield visible(f"{what} {found.evidence.name}: {standing(found)}")
    if unproved := not_proved(found, verifier):
        yield visible(f"NOT PROVED: {unproved}")
    for section in sections(found):
        yield from ("", section.heading)
        yield from (f"  {row}" for row in aligned([tuple(row) for row in section.rows]))
    yield from ("", "Which rules those were") if found.generations else ()
    yield from _generations(found)
    yield from ("", "Every fact, and its leaf in the log")
    yield from (f"  {row}" for row in aligned(list(_leaves(found))))
    yield from ("", "Proof")
    yield from (f"  {row}" for row in aligned([*_proof(found, verifier, now)]))


def document(found: Found, verifier: Verifier | None, now: int) -> dict[str, Any]:
    """The whole for a program."""
    evidence = found.evidence
    told = {
        "kind": "grant" if found.is_grant else "call", "id": evidence.name, "state": standing(found),
        "story": [
            {"heading": section.heading, "rows": [{"about": name, "text": text} for name, text in section.rows]}
            for section in sections(found)
        ],
        "facts": [fact_document(evidence, each) for each in evidence.facts],
        "generations": [_generation_document(found, name) for name in found.generations],
    }  # fmt: skip
    try:
        checkpoint = evidence.checkpoint
        proof = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    except BadNote:
        proof = {}
    proof |= {
        "verified": not not_proved(found, verifier), "signature_checked_with": str(verifier) if verifier else None,
        "problems": list(found.problems), "superseded_facts": superseded(evidence),
        "newest_fact_of_the_log": moment(found.behind) if found.behind else None, "now": moment(now),
    }  # fmt: skip
    return told | {"proof": proof}


def fact_document(evidence: Evidence, each: Proven) -> dict[str, Any]:
    """One fact with everything that is known of it, as one object."""
    place = {"partition": evidence.partition, "index": each.index, "leaf_hash": each.hash.hex()}
    try:
        leaf = each.leaf()
        plain = orjson.loads(each.data)
    except NotALeaf:
        return place | {"unreadable": each.data.hex()}
    return place | {
        "id": leaf.name, "position": leaf.position, "at": moment(leaf.at), "entry": leaf.entry, "append": leaf.by,
        "type": plain["fact"].get("type"), "text": _line(each), "fact": plain["fact"],
    }  # fmt: skip


def _facts(found: Found) -> list[GrantFact]:
    facts = []
    for each in current(found.evidence):
        try:
            fact = each.leaf().fact()
        except (NotALeaf, UnreadableFact):
            continue
        if isinstance(fact, GrantFact):
            facts.append(fact)
    return facts


def _grant(found: Found) -> Iterator[tuple[str, str]]:
    facts = _facts(found)
    grant = recall_grant(facts)
    if grant is None:
        yield "", f"its facts cannot be read {UNREAD}"
        return
    yield "agent", visible(grant.agent)
    yield "tool", visible(grant.tool)
    yield "lets pass", visible(f"{grant.requirement.policy}, which needs a yes of {grant.requirement.group}")
    yield "until", iso(grant.until)
    for fact in facts:
        yield moment(fact.at), visible(_said_of_grant(fact))
    yield "its bounds", "are not in the log: they are made of arguments, and its id is a digest of them"


def _said_of_grant(fact: GrantFact) -> str:
    match fact:
        case Granted():
            return f"{fact.by} gave it when asked about call {fact.call}; authentication: {fact.via}"
        case Revoked():
            return f"{fact.by} revoked it: it meets nothing any more"


def _generations(found: Found) -> Iterator[str]:
    for generation in found.generations:
        load = _loaded(found.loads.get(generation))
        if load is None:
            yield f"  {generation}: the deployment's log does not say what it was made of"
            continue
        leaf, fact = load
        yield f"  {generation}: loaded {moment(fact.at)} by version {visible(fact.version)} (log 64, leaf {leaf})"
        yield from (visible(f"    {file.sha256}  {file.name}") for file in fact.files)


def _generation_document(found: Found, generation: str) -> dict[str, Any]:
    load = _loaded(found.loads.get(generation))
    if load is None:
        return {"generation": generation, "loaded": None}
    leaf, fact = load
    files = [{"name": file.name, "sha256": file.sha256} for file in fact.files]
    return {"generation": generation, "loaded": moment(fact.at), "version": fact.version, "leaf": leaf, "files": files}


def _loaded(load: Evidence | None) -> tuple[int, Loaded] | None:
    if load is None:
        return None
    each = load.facts[0]
    fact = each.leaf().fact()
    return (each.index, fact) if isinstance(fact, Loaded) else None


def _leaves(found: Found) -> Iterator[tuple[str, ...]]:
    counting = {each.index for each in current(found.evidence)}
    begun = 0
    for each in found.evidence.facts:
        try:
            leaf = each.leaf()
        except NotALeaf:
            yield str(each.index), each.hash.hex(), "", "", UNREAD
            continue
        begun = begun or leaf.at
        lost = "" if each.index in counting else " (lost by the journal: what stands in its place counts)"
        yield f"leaf {each.index}", each.hash.hex(), since(leaf.at - begun), f"{_line(each)}{lost}"


def _line(each: Proven) -> str:
    """The fact in one line."""
    try:
        fact = each.leaf().fact()
    except (NotALeaf, UnreadableFact):
        return UNREAD
    if isinstance(fact, Fact):
        return visible(f"{type(fact).__name__}: {line(fact)}")
    return visible(f"{type(fact).__name__}: {_said_of_grant(fact)}") if isinstance(fact, GrantFact) else UNREAD


def _proof(found: Found, verifier: Verifier | None, now: int) -> Iterator[tuple[str, str]]:
    evidence = found.evidence
    try:
        checkpoint = evidence.checkpoint
        yield "log", visible(f"{checkpoint.origin}, {checkpoint.size} facts, root {checkpoint.root.hex()}")
    except BadNote:
        pass
    for problem in found.problems:
        yield "WRONG", visible(problem)
    if not found.problems:
        when = "verified now" if verifier is not None else "as it is here"
        yield when, f"all {len(evidence.facts)} facts are in that log, in order, and could have happened so"
    signed = f"by {visible(str(verifier))}" if verifier else "not looked at: give the verifier key by --key"
    yield "signature", signed
    if lost := superseded(evidence):
        yield "lost", f"{lost} facts had been lost by the journal, which wrote on in their place"
    if found.behind:
        age = span(max(0, now - found.behind))
        yield (
            "age",
            f"the newest fact in this log is of {moment(found.behind)}, {age} ago; what came later is not in it",
        )
    else:
        yield "age", "what happened to it after that checkpoint is not in here; only the log tells"
