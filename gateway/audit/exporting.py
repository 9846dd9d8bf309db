"""`gateway audit export`: the record for other programs, written as it is read. Memory does not grow with the log.

JSON lines are facts, exactly, each with its place and hash; a spreadsheet and OCSF have one line for each call. Without
filters, JSON lines hold every leaf of every log, those about grants and the deployment too, in the order of the log.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

import orjson

from gateway.audit import ocsf, spreadsheet
from gateway.audit.opening import caught_up, sound, the_ledger
from gateway.core.codec import UnreadableFact, decode
from gateway.core.facts import Admitted, Fact
from gateway.core.leaf import NotALeaf, read_leaf, short
from gateway.core.times import moment
from gateway.ledger.files import LogFiles
from gateway.ledger.finding import leaves_at, whole
from gateway.ledger.gist import Gist
from gateway.ledger.index import Filters, Index, mark
from gateway.ledger.merkle import leaf_hash

PAGE = 500
"""Calls that are looked for at once."""
Format = Literal["jsonl", "csv", "ocsf"]


@dataclass(slots=True)
class Logs:
    """The logs of a ledger, each opened once."""

    ledger: Path
    opened: dict[str, tuple[LogFiles, str]] = field(default_factory=dict)

    def of(self, partition: str) -> tuple[LogFiles, str]:
        """The log and its origin. Raises Damaged."""
        if partition not in self.opened:
            log = LogFiles.open(self.ledger, partition)
            checkpoint = log.checkpoint()
            self.opened[partition] = log, checkpoint.origin if checkpoint else ""
        return self.opened[partition]


def export(ledger: Path, format_: Format, wanted: Filters, limit: int, *, afresh: bool) -> None:
    """Write to standard output. Ends the command if the log is damaged; what was written before stands."""
    logs = Logs(the_ledger(ledger))
    if format_ == "jsonl" and wanted == Filters() and not limit:
        sound(lambda: _write_lines(every_fact(logs), sys.stdout))
        return
    index = caught_up(ledger, afresh=afresh)
    found = calls(index, wanted, limit)
    match format_:
        case "jsonl":
            sound(lambda: _write_lines((line for gist in found for line in facts_of(logs, gist)), sys.stdout))
        case "csv":
            sound(lambda: write_csv(logs, found, sys.stdout))
        case "ocsf":
            sound(lambda: _write_lines(events(logs, found), sys.stdout))


def calls(index: Index, wanted: Filters, limit: int) -> Iterator[Gist]:
    """All that fit, newest first; at most `limit` if that is not 0."""
    left, before = limit or sys.maxsize, ""
    while page := index.find(wanted, min(PAGE, left), before):
        yield from page
        left, before = left - len(page), mark(page[-1])


def every_fact(logs: Logs) -> Iterator[dict[str, Any]]:
    """Every leaf of every log. Raises Damaged."""
    for path in sorted(logs.ledger.iterdir()):
        if len(path.name) == 2 and path.name.isdecimal():
            log, _ = logs.of(path.name)
            for index, leaf in enumerate(log.leaves()):
                yield _fact(path.name, index, whole(log, leaf))


def facts_of(logs: Logs, gist: Gist) -> Iterator[dict[str, Any]]:
    """Every fact of one call. Raises Damaged."""
    log, _ = logs.of(gist.id[:2])
    for index, leaf in zip(gist.leaves, leaves_at(log, gist.leaves), strict=True):
        yield _fact(gist.id[:2], index, leaf)


def _fact(partition: str, index: int, data: bytes) -> dict[str, Any]:
    place = {"partition": partition, "index": index, "leaf_hash": _hash(data)}
    try:
        leaf = read_leaf(data)
    except NotALeaf as error:
        return place | {"unreadable": str(error), "bytes": data.hex()}
    fact = orjson.loads(leaf.envelope)["fact"] if leaf.envelope else None
    return place | {
        "about": leaf.about, "id": leaf.name, "position": leaf.position, "time": moment(leaf.at), "at": leaf.at,
        "entry": leaf.entry, "append": leaf.by, "type": fact.get("type") if fact else None, "fact": fact,
    }  # fmt: skip


def _hash(data: bytes) -> str:
    """Of what stands in the log for this leaf."""
    with suppress(orjson.JSONDecodeError, KeyError):
        return leaf_hash(short(data)).hex()
    return leaf_hash(data).hex()


def write_csv(logs: Logs, found: Iterator[Gist], to: TextIO) -> None:
    """One line for each call, and one above that names the columns. Raises Damaged."""
    writer = csv.writer(to)
    writer.writerow(spreadsheet.COLUMNS)
    for gist in found:
        leaves = _leaves(logs, gist)
        writer.writerow(spreadsheet.row(gist, _decoded(leaves), _hash(leaves[0])))


def events(logs: Logs, found: Iterator[Gist]) -> Iterator[dict[str, Any]]:
    """One OCSF event for each call that can be read. Raises Damaged."""
    for gist in found:
        leaves = _leaves(logs, gist)
        facts = _decoded(leaves)
        if not facts or not isinstance(facts[0], Admitted):
            print(f"Call {gist.id} is left out: this version cannot read its facts.", file=sys.stderr)
            continue
        places = [{"index": at, "leaf_hash": _hash(leaf)} for at, leaf in zip(gist.leaves, leaves, strict=True)]
        yield ocsf.event(gist, facts, places, logs.of(gist.id[:2])[1])


def _leaves(logs: Logs, gist: Gist) -> list[bytes]:
    return list(leaves_at(logs.of(gist.id[:2])[0], gist.leaves))


def _decoded(leaves: Sequence[bytes]) -> list[Fact]:
    """None, if one of them cannot be read."""
    try:
        return [decode(read_leaf(leaf).envelope) for leaf in leaves]
    except (NotALeaf, UnreadableFact):
        return []


def _write_lines(found: Iterator[dict[str, Any]], to: TextIO) -> None:
    to.writelines(orjson.dumps(each).decode() + "\n" for each in found)
