"""A receipt: one call or grant, and all that proves it, in one file that needs nothing else.

    {"format": "gateway-receipt-1", "id": "...", "key": "<verifier key>", "checkpoint": "<signed note>",
     "facts": [{"index": 5, "leaf": "<the leaf, byte for byte>", "proof": ["<base64>", ...]}, ...],
     "generations": {"checkpoint": "...", "facts": [...]} or null}

Whoever gets one need not trust whoever sent it, but must know the verifier key from elsewhere: the one inside says only
who would have to have signed. It proves what is in it; whether more happened later, only the log tells.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import jiter

from gateway.audit.finding import Found
from gateway.core.codec import UnreadableFact
from gateway.core.deployment import NAME, Loaded
from gateway.core.facts import Fact, Judged
from gateway.core.leaf import NotALeaf, short
from gateway.ledger.evidence import Evidence, Proven, facts_of_call, faults, partition_of_name
from gateway.ledger.note import BadKey, Verifier, read_verifier

FORMAT = "gateway-receipt-1"
MOST_BYTES = 64 * 1024 * 1024
"""Of a receipt: far above what a call can have."""
LONGEST_ID = 200
Document = Mapping[str, Any]


class NotAReceipt(Exception):
    """The file is none. The message is a clause that says why."""


def receipt(found: Found, verifier: Verifier | None) -> dict[str, Any]:
    """What is written into the file."""
    loads = list(found.loads.values())
    generations = _packed(Evidence(NAME, loads[0].note, tuple(load.facts[0] for load in loads))) if loads else None
    key = {"format": FORMAT, "id": found.evidence.name, "key": str(verifier) if verifier else None}
    return {**key, **_packed(found.evidence), "generations": generations}


def _packed(evidence: Evidence) -> dict[str, Any]:
    facts = [
        {
            "index": each.index,
            "leaf": each.data.decode(),
            "proof": [base64.b64encode(step).decode() for step in each.path],
        }
        for each in sorted(evidence.facts, key=lambda each: each.index)
    ]
    return {"checkpoint": evidence.note.decode(), "facts": facts}


def read_receipt(data: bytes) -> tuple[Evidence, Evidence | None, str]:
    """The evidence about the call, that about generations, and the key that it names. Raises NotAReceipt."""
    try:
        told = jiter.from_json(data, catch_duplicate_keys=True)
    except ValueError as error:
        raise NotAReceipt(f"it is not JSON ({error})") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise NotAReceipt(f"its format is not {FORMAT}")
    _only(told, {"format", "id", "key", "checkpoint", "facts", "generations"})
    name, key, generations = told.get("id"), told.get("key"), told.get("generations")
    if not isinstance(name, str) or len(name) > LONGEST_ID or not partition_of_name(name):
        raise NotAReceipt("its id is that of no call or grant")
    if key is not None and not isinstance(key, str):
        raise NotAReceipt("its key is not a text")
    if generations is not None:
        _only(generations, {"checkpoint", "facts"})
    return _evidence(name, told), _evidence(NAME, generations) if generations else None, key or ""


def _evidence(name: str, told: Document) -> Evidence:
    note, facts = told.get("checkpoint"), told.get("facts")
    if not isinstance(note, str):
        raise NotAReceipt("it has no checkpoint")
    if not isinstance(facts, list) or not facts:
        raise NotAReceipt("it has no facts")
    return Evidence(name, note.encode(), tuple(map(_proven, facts)))


def _only(told: object, members: set[str]) -> None:
    """What a reader might overlook must not be there."""
    if not isinstance(told, dict) or set(told) != members:
        raise NotAReceipt(f"a part of it has other members than {', '.join(sorted(members))}")


def _proven(told: Any) -> Proven:
    _only(told, {"index", "leaf", "proof"})
    index, leaf, proof = told.get("index"), told.get("leaf"), told.get("proof")
    if type(index) is not int or not isinstance(leaf, str) or not isinstance(proof, list):
        raise NotAReceipt("a fact of it has no index, leaf or proof")
    found = Proven(index, leaf.encode(), tuple(map(_step, proof)))
    try:
        short(found.data)
    except NotALeaf as error:
        raise NotAReceipt(f"a leaf of it is none: {error}") from error
    return found


def _step(told: object) -> bytes:
    try:
        found = base64.b64decode(told, validate=True) if isinstance(told, str) else b""
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != 32:
        raise NotAReceipt("a step of a proof in it is not a hash")
    return found


def checked(data: bytes, verifier: Verifier | None) -> tuple[Found, Verifier]:
    """What the receipt tells, with everything that is wrong with it, and the key that this was held against.

    Raises NotAReceipt, also if nobody says whose signature to look for.
    """
    evidence, generations, said = read_receipt(data)
    trusted, verifier = verifier, verifier or _said(said)
    problems = list(faults(evidence, verifier))
    if trusted is not None and said not in ("", str(trusted)):
        problems.append("It names another key than the one that you gave.")
    facts: tuple[Fact, ...] = ()
    loads: dict[str, Evidence] = {}
    try:
        facts = facts_of_call(evidence)
        loads = _loads(generations)
    except (NotALeaf, UnreadableFact) as error:
        problems.append(f"A fact cannot be read: {error}.")
    if generations is not None:
        problems += [f"Of its generations: {problem}" for problem in faults(generations, verifier)]
    judged = tuple(dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged)))
    return Found(evidence, loads, (), tuple(problems), facts, judged, 0), verifier


def _said(key: str) -> Verifier:
    """The key that the receipt itself names."""
    if not key:
        raise NotAReceipt("it names no key, so give the verifier key by --key")
    try:
        return read_verifier(key)
    except BadKey as error:
        raise NotAReceipt(f"its key is none: {error}") from error


def _loads(generations: Evidence | None) -> dict[str, Evidence]:
    facts: Sequence[Proven] = generations.facts if generations is not None else ()
    found = {}
    for each in facts:
        fact = each.leaf().fact()
        if isinstance(fact, Loaded) and generations is not None:
            found[fact.generation] = Evidence(NAME, generations.note, (each,))
    return found
