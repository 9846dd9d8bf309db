"""`gateway audit show` and `gateway audit list`: what happened, told to somebody who was not there."""

import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.approvals_asking import fail, print_json
from gateway.audit.copies import CannotDecrypt, Shown, copies
from gateway.audit.finding import Found, find
from gateway.audit.opening import caught_up, key_of, now, sound, the_ledger
from gateway.audit.telling import document, lines, not_proved
from gateway.core.one_line import visible
from gateway.core.story import PARTS
from gateway.core.times import iso
from gateway.ledger.gist import Gist
from gateway.ledger.index import Filters
from gateway.reading import HEADINGS, Listed, aligned, coloured

WIDEST = 1000
"""Columns of a table: in a narrow terminal a line wraps as a whole, not inside its words."""


NAMES = ("agent", "tool", "system", "resource", "person", "policy", "user", "run")
WHOLE = "Names have to be whole, such as --tool bank.make_payment or --resource Account/acme."


def show(ledger: Path, name: str, key: str, keys: Path | None, *, afresh: bool, as_json: bool) -> None:
    """Tell everything about one call or grant. Ends with code 1 if anything of it is not as it must be."""
    by = key_of(key, the_ledger(ledger))
    verifier = by.verifier if by else None
    found = sound(lambda: find(ledger, name, verifier, afresh=afresh))
    kept = _copies(ledger, found, keys) if keys is not None else []
    if as_json:
        print_json(document(found, verifier, now()) | ({"copies": [each._asdict() for each in kept]} if keys else {}))
    else:
        print("\n".join(lines(found, verifier, now())))
        print("\n".join(_told(kept)) if keys else "", end="\n" if keys else "")
    if by and not by.given:
        print("The key is this host's own, and so trusts it; an auditor gives --key.", file=sys.stderr)
    if unproved := not_proved(found, verifier):
        fail(f"This is not proved: {unproved}")
    if any(each.wrong for each in kept):
        fail("A copy that is kept beside the log is not what the log has the digest of.")


def _copies(ledger: Path, found: Found, keys: Path) -> list[Shown]:
    try:
        return list(copies(ledger, found.evidence.name, found.facts, keys, found.erasures))
    except CannotDecrypt as error:
        fail(error)


def _told(kept: list[Shown]) -> Iterator[str]:
    yield from ("", "Copies that are kept, decrypted")
    if not kept:
        yield "  none: the tool's `record:` asks for none"
    for each in kept:
        yield f"  {PARTS[each.part]}: {each.text or f'({each.why})'}"


def print_list(ledger: Path, wanted: Filters, limit: int, *, afresh: bool, as_json: bool) -> None:
    """Calls, newest first."""
    index = caught_up(the_ledger(ledger), afresh=afresh)
    found = index.find(wanted, limit)
    if as_json:
        print_json([row_document(gist) for gist in found])
    elif not found:
        named = any(getattr(wanted, name) for name in NAMES)
        print(f"No such calls are sealed.{f' {WHOLE}' if named else ''}", file=sys.stderr)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False, width=WIDEST).print(coloured([_listed(gist) for gist in found]))
    else:
        print("\n".join(aligned([HEADINGS.cells, *(_listed(gist).cells for gist in found)])))
    if len(found) == limit and not as_json:
        print(f"The newest {limit}; --limit shows more.", file=sys.stderr)


def row_document(gist: Gist) -> dict[str, object]:
    """One call of a list, for a program."""
    return {
        "id": gist.id, "begun": iso(gist.begun), "last": iso(gist.last), "outcome": gist.outcome,
        "status": gist.status or None, "agent": gist.agent, "user": gist.user or None, "run": gist.run or None,
        "system": gist.system, "tool": gist.tool, "effect": gist.effect, "resource": gist.resource,
        "people": gist.people, "policies": gist.policies, "leaves": gist.leaves,
    }  # fmt: skip


def _listed(gist: Gist) -> Listed:
    people = f"by {', '.join(gist.people)}" if gist.people else ""
    status = f"status {gist.status}" if gist.status else ""
    about = ", ".join(filter(None, (gist.resource, status, people)))
    cells = (gist.id, iso(gist.begun), gist.outcome, gist.agent, gist.tool, about)
    return Listed(*map(visible, cells))
