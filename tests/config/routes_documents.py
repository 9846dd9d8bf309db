"""Small routes.yaml documents for tests. A line that ends in `# <-` is where a mistake is expected."""

from collections.abc import Mapping
from pathlib import Path

from gateway.config.mistakes import Mistake
from gateway.config.routes_file import load_routes
from gateway.core.routes import Routes, System, Tool

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
MARK = "# <-"
PEOPLE = """\
people:
  lead: {email: lead@acme.example, roles: [approver]}
  boss: {roles: [approver, auditor]}
  desk: {roles: [operator]}
"""
APPROVALS = """\
approvals:
  finance:
    members: [lead, boss]
    notify: [{webhook: https://approvals.acme.example/hook, secret: {env: HOOK}, callback_secret: {env: CALLBACK}}]
"""
AGENTS = f"""\
agents:
  bot: {{owner: desk, teams: [ops], keys: [{{sha256: "{A}"}}]}}
"""
SYSTEMS = """\
systems:
  shop:
    upstream: https://shop.example
    owner: lead
    credential: {bearer: {env: SHOP_KEY}}
    tools:
      get: {request: "GET /things/{thing}", effect: read, resource: "Thing/{thing}"}
"""


def document(
    *extra: str, people: str = PEOPLE, approvals: str = APPROVALS, agents: str = AGENTS, systems: str = SYSTEMS
) -> str:
    """A whole file that is right, but for what the test puts in."""
    return "".join(("version: 1\n", people, approvals, agents, systems, *(f"{line}\n" for line in extra)))


def system(*lines: str, upstream: str = "upstream: https://shop.example") -> str:
    """A document whose one system has these fields beside upstream and owner."""
    text = "systems:\n  shop:\n" + "".join(f"    {line}\n" for line in (upstream, "owner: lead", *lines))
    return document(systems=text)


def tool(*lines: str, of: tuple[str, ...] = ()) -> str:
    """A document whose one tool `act` has these fields, in a system that has the fields `of`."""
    return system(*of, "tools:", "  act:", *(f"    {line}" for line in lines))


def write(*lines: str, of: tuple[str, ...] = ()) -> str:
    """The same, of a tool that writes by POST."""
    return tool("request: POST /things", "effect: write", *lines, of=of)


def load(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> tuple[Routes | None, list[Mistake]]:
    file = folder / "routes.yaml"
    file.write_text(text, encoding="utf-8")
    return load_routes(file, environ or {})


def loaded(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> Routes:
    routes, mistakes = load(text, folder, environ)
    assert mistakes == []
    assert routes is not None
    return routes


def the_system(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> System:
    return loaded(text, folder, environ).systems["shop"]


def the_tool(text: str, folder: Path) -> Tool:
    return the_system(text, folder).tools[0]


def marked(text: str) -> list[int]:
    """The lines on which mistakes are expected."""
    return [number for number, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith(MARK)]


def expect(text: str, folder: Path, *fragments: str, environ: Mapping[str, str] | None = None) -> None:
    """Exactly these mistakes, one on each marked line, each with its fragment; and no routes."""
    routes, mistakes = load(text, folder, environ)
    shown = "\n".join(map(str, mistakes)) or "no mistake"
    assert routes is None, "the file loaded"
    assert [mistake.line for mistake in mistakes] == marked(text), shown
    for mistake, fragment in zip(mistakes, fragments, strict=True):
        assert fragment in mistake.sentence, shown
        assert mistake.file == str(folder / "routes.yaml")
