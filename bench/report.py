"""Results as tables: on the terminal, and between the marks of docs/performance.md.

A table is a value (title, columns, rows of text); it is rendered twice, so page and terminal cannot differ.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from bench.load import KINDS
from bench.measure import Sample
from bench.results import Results, Spread
from bench.targets import BASELINE, GATEWAY, TARGETS

BEGIN = "<!-- bench:begin (written by `make bench`; edits here are lost) -->"
END = "<!-- bench:end -->"
# More foreign work than this on the machine makes single figures doubtful; the ratios bear more.
NOISY_SHARE = 0.05
AIMS = {"read": (1.0, 1.5), "write": (1.3, 2.0)}
"""Cost of a governed call over the ungoverned baseline's: what is aimed at, and what must hold."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(results: Results) -> list[Table]:
    """Everything that was measured; what was not is left out."""
    found = [
        _costs(results),
        _parts(results),
        _latency(results),
        _worker(results),
        _decision(results),
        _budgets(results),
    ]
    return [table for table in found if table.rows]


def _costs(results: Results) -> Table:
    rows = []
    for target in TARGETS:
        for kind in KINDS:
            samples = results.of(target.name, kind)
            cost, ratio = results.microseconds(target.name, kind), results.ratio(target.name, kind)
            if cost is None:
                continue
            rows.append(
                (
                    target.title,
                    "read (GET)" if kind == "read" else "write (POST)",
                    _spread(cost, ",.0f"),
                    _spread(ratio, ".2f") if ratio else "-",
                    f"{Spread.of(one.valkey for one in samples).middle:.0f}" if target.governed else "-",
                    f"{_middle(samples, 'per_second'):,.0f}",
                    f"{_middle(samples, 'p50_ms'):.1f} / {_middle(samples, 'p99_ms'):.1f}",
                    f"{_middle(samples, 'busy'):.0%}",
                    str(sum(one.failed for one in samples)),
                )
            )
    columns = (
        "target", "call", "CPU us per call (min-max)", f"x {BASELINE.name}, same round (min-max)", "Valkey us",
        "calls/s", "p50 / p99 ms, saturated", "busy", "failed",
    )  # fmt: skip
    return Table("CPU per call", columns, rows)


def _parts(results: Results) -> Table:
    rows = []
    for kind in KINDS:
        samples = results.of(GATEWAY.name, kind)
        for role in sorted({role for sample in samples for role in sample.parts}):
            cost = Spread.of(sample.parts.get(role, 0.0) for sample in samples)
            rows.append((kind, role, _spread(cost, ".1f")))
        if samples:
            rows.append((kind, "(seconds of work after the load)", f"{_middle(samples, 'after_seconds'):.1f}"))
    return Table("The gateway's processes", ("call", "process", "CPU us per call (min-max)"), rows)


def _latency(results: Results) -> Table:
    rows = []
    for target in TARGETS:
        for kind in KINDS:
            found = [one for one in results.latencies if (one.target, one.kind) == (target.name, kind)]
            if found:
                rows.append(
                    (
                        target.title,
                        kind,
                        f"{found[0].rate:,.0f}",
                        _spread(Spread.of(one.added_p50_ms for one in found), ".2f"),
                        _spread(Spread.of(one.added_p99_ms for one in found), ".2f"),
                        _spread(Spread.of(one.direct_p99_ms for one in found), ".2f"),
                        str(sum(one.failed for one in found)),
                    )
                )
    columns = (
        "target",
        "call",
        "calls/s",
        "added p50 ms (min-max)",
        "added p99 ms (min-max)",
        "direct p99 ms",
        "failed",
    )
    return Table("Added latency at half of saturation", columns, rows)


def _worker(results: Results) -> Table:
    rows = []
    if results.start_seconds:
        rows.append(("start to /readyz, embedded Valkey, seconds", _spread(Spread.of(results.start_seconds), ".2f")))
    for role, found in sorted(results.memories.items()):
        for name in ("resident", "proportional"):
            spread = Spread.of(getattr(one, name) for one in found)
            rows.append((f"memory of the {role} after load, MiB {name}", _spread(spread, ".0f")))
    return Table("Start and memory", ("what", "median (min-max)"), rows)


def _decision(results: Results) -> Table:
    found = results.decision
    return Table(
        "One decision, in process",
        tuple(found.get("columns", ())),
        [tuple(map(str, row)) for row in found.get("rows", ())],
    )


def _budgets(results: Results) -> Table:
    """The budgets of the design's section 14, each beside what was measured."""
    rows = []
    for kind in KINDS:
        aim, bound = AIMS[kind]
        ratio, httpx = results.ratio(GATEWAY.name, kind), results.ratio(GATEWAY.name, kind, "httpx")
        if ratio:
            rows.append(
                (f"governed {kind} / {BASELINE.title}", f"<= {aim} (at most {bound})", _met(ratio.middle, aim, bound))
            )
        if httpx:
            rows.append((f"governed {kind} / Starlette + httpx", "<= 0.125", _met(httpx.middle, 0.125, 0.125, ".3f")))
    for kind in KINDS:
        added = [one.added_p99_ms for one in results.latencies if (one.target, one.kind) == (GATEWAY.name, kind)]
        if added:
            rows.append((f"added p99 of a {kind}, ms", "<= 5", _met(Spread.of(added).middle, 5, 5)))
    if results.start_seconds:
        rows.append(("start to ready, seconds", "<= 2", _met(Spread.of(results.start_seconds).middle, 2, 2)))
    if worker := results.memories.get("worker"):
        resident = Spread.of(one.resident for one in worker).middle
        rows.append(("memory of a worker, MiB", "<= 120", _met(resident, 120, 120, ".0f")))
    if "ratio" in results.decision:
        rows.append(("decision with 10,000 policies / with 10", "<= 1.2", _met(results.decision["ratio"], 1.2, 1.2)))
    return Table("Budgets", ("budget", "aim", "measured"), rows)


def _met(value: float, aim: float, bound: float, form: str = ".2f") -> str:
    verdict = "met" if value <= aim else "within the bound" if value <= bound else "NOT MET"
    return f"{value:{form}}: {verdict}"


def _middle(samples: Sequence[Sample], name: str) -> float:
    return Spread.of(getattr(sample, name) for sample in samples).middle


def _spread(found: Spread, form: str) -> str:
    return f"{found.middle:{form}} ({found.least:{form}}-{found.greatest:{form}})"


def notes(results: Results) -> list[str]:
    """What a reader must know before believing the figures."""
    plan = results.plan
    rounds = f"{plan.rounds} interleaved rounds" if plan.rounds > 1 else "One round"
    how = f"{rounds} of {plan.seconds:g} s after {plan.warm_seconds:g} s of warm-up, {plan.connections} connections"
    found = [f"{how}; load: {results.load}, upstream: {results.upstream}."]
    foreign = max((sample.foreign for sample in results.samples), default=0.0)
    if foreign > NOISY_SHARE:
        found.append(f"Other processes used up to {foreign:.0%} of this machine meanwhile: prefer the ratios.")
    if any(sample.failed for sample in results.samples):
        found.append("Some calls failed (last column), so the figures of those rows do not count.")
    return found


def show(results: Results, console: Console) -> None:
    for table in tables(results):
        shown = RichTable(title=table.title, title_justify="left", title_style="bold")
        for number, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if number < 2 else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in notes(results):
        console.print(note)


def markdown(results: Results) -> str:
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(results.began))
    lines = [f"Measured {date}.", *notes(results), ""]
    for table in tables(results):
        lines += [f"### {table.title}", "", _line(table.columns), _line(["---"] * len(table.columns))]
        lines += [*map(_line, table.rows), ""]
    lines += ["### Versions", "", *(f"- {name}: {value}" for name, value in results.versions().items())]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def refresh(page: Path, section: str) -> None:
    """Put the section between the page's marks; everything else of the page stays as it is."""
    text = page.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{page} has no place for the figures: it needs the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{section.strip()}\n\n{END}{after}", encoding="utf-8")
