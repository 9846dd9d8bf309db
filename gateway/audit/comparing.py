"""`gateway audit diff`, `receipt` and `verify-receipt`: what they print, and when they fail."""

import re
import sys
from contextlib import nullcontext
from pathlib import Path

import orjson

from gateway.approvals_asking import fail, print_json
from gateway.audit.differences import asked_and_executed, side_by_side
from gateway.audit.finding import Found, find
from gateway.audit.opening import key_of, now, sound, the_ledger
from gateway.audit.receipts import MOST_BYTES, NotAReceipt, checked, receipt
from gateway.audit.telling import document, lines
from gateway.audit.trust import NO_KEY
from gateway.core.one_line import quoted, visible
from gateway.ledger.note import Verifier
from gateway.reading import aligned


def diff(ledger: Path, one: str, other: str, key: str, *, as_json: bool) -> None:
    """Two calls side by side; or of one, what was asked against what was executed."""
    verifier = _verifier(ledger, key)
    first = _found(ledger, one, verifier)
    if not other:
        told = list(asked_and_executed(first.facts))
        print_json(told) if as_json else print("\n".join(told))
        return
    second = _found(ledger, other, verifier)
    rows = side_by_side(first.facts, second.facts)
    if as_json:
        print_json([row._asdict() | {"differs": row.differs} for row in rows])
        return
    table = [
        ("", "", first.evidence.name, second.evidence.name),
        *(("*" if row.differs else " ", *map(_brief, row)) for row in rows),
    ]
    print("\n".join(aligned([tuple(map(visible, row)) for row in table])))
    print(f"\n{sum(row.differs for row in rows)} lines differ (*).", file=sys.stderr)


def _brief(text: str) -> str:
    """With only the beginning of each digest: they were compared whole, and --json has them whole."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1...", text)


def _verifier(ledger: Path, key: str) -> Verifier:
    """Ends the command if there is none: without a signature nothing is proved."""
    by = key_of(key, the_ledger(ledger))
    if by is None:
        fail(NO_KEY)
    if not by.given:
        print("The key is this host's own, and so trusts it; an auditor gives --key.", file=sys.stderr)
    return by.verifier


def _found(ledger: Path, name: str, verifier: Verifier) -> Found:
    """Proved, of a call. Ends the command otherwise."""
    found = sound(lambda: find(ledger, name, verifier))
    if found.is_grant:
        fail(f"{found.evidence.name} is a grant; only calls are compared.")
    if found.problems or not found.facts:
        fail(f"{found.evidence.name} is not proved: {(*found.problems, 'its facts cannot be read.')[0]}")
    return found


def write_receipt(ledger: Path, name: str, key: str) -> None:
    """To standard output. Nothing is written of what is not proved."""
    verifier = _verifier(ledger, key)
    found = sound(lambda: find(ledger, name, verifier))
    if found.problems:
        fail(f"No receipt is written, because this is not proved: {found.problems[0]}")
    sys.stdout.write(orjson.dumps(receipt(found, verifier), option=orjson.OPT_INDENT_2).decode() + "\n")


def verify_receipt(file: str, key: str, *, as_json: bool) -> None:
    """Check it and tell what it says. Ends with code 1 unless all of it is proved. `file`: its path; `-` for standard
    input."""
    by = key_of(key)
    verifier = by.verifier if by else None
    try:
        found, used = checked(_read(file), verifier)
    except NotAReceipt as error:
        fail(f"This is no receipt: {error}.")
    if as_json:
        print_json(document(found, used, now()))
    elif not found.problems:
        print("\n".join(lines(found, used, now())))
    if found.problems:
        fail(f"This receipt proves nothing: {found.problems[0]}")
    print(f"\n{_verdict(found, used, trusted=verifier is not None)}", file=sys.stderr)


def _read(file: str) -> bytes:
    """Raises NotAReceipt. Ends the command if there is no such file."""
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fail(f"The receipt {quoted(file)} cannot be read ({why.lower()}).")
    if len(data) > MOST_BYTES:
        raise NotAReceipt(f"it has more than {MOST_BYTES} bytes")
    return data


def _verdict(found: Found, used: Verifier, *, trusted: bool) -> str:
    count = len(found.evidence.facts)
    if trusted:
        return f"Verified: all {count} facts were sealed under the key that you gave."
    return (
        f"All {count} facts were sealed under the key that the receipt names:\n\n  {visible(str(used))}\n\nCompare it "
        "with the one that you have from the operators by another way, or give that by --key: anybody can make a "
        "receipt under a key of their own."
    )
