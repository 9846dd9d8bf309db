"""The rules of the house, kept by a test: who may import whom, what is pure, how long things may get, what is tested.

After mitmproxy's `filename_matching.py` and `individual_coverage.py`. Every list of exceptions here says why each
entry is there, and may only shrink: an entry that is no longer needed fails too.
"""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "gateway").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

ENGINE = {
    "acting", "beside", "decisions", "doubts", "engine", "granting", "judging", "life", "owing", "previewing",
    "recording", "sending", "standing", "viewing",
}  # fmt: skip
"""One layer: what is done with a call, whoever asks for it."""
HANDS = {"core", "ports", "digest_ports", "grant_ports", "errors", "tasks", "randomness", "clock", *ENGINE}

MAY_IMPORT: dict[str, set[str]] = {
    # Inside: values in, values out.
    "core": {"core"},
    "errors": {"errors", "core"},
    "control_errors": {"errors"},
    "wire": {"wire", "core", "errors"},
    "config": {"config", "core"},
    # The seam.
    "ports": {"core", "grant_ports"},
    "digest_ports": {"core"},
    "grant_ports": {"core"},
    "payload_ports": set(),
    # Hands.
    **dict.fromkeys(ENGINE, HANDS),
    "tasks": set(),
    "randomness": set(),
    "clock": set(),
    "durable": set(),
    "trouble": {"core"},
    "valkey_log": set(),
    # Outside things, one per file or package.
    "adapters": {
        "core",
        "ports",
        "digest_ports",
        "grant_ports",
        "payload_ports",
        "tasks",
        "clock",
        "durable",
        "ledger",
    },
    # Ways in.
    "open_calls": {"core"},
    "insights": {"core", "ports"},
    "metrics": {"core"},
    "doors": {"doors", "wire", "control_errors", "metrics", "open_calls", *HANDS},
    "console": {"console", "doors", "ledger", "wire", "control_errors", *HANDS},
    "digesting": {"wire", *HANDS},
    "refreshing": HANDS,
    "steward": {"digesting", "wire", *HANDS},
    "ledger": {"ledger", "core", "durable"},
    # Configuration as a whole.
    "generations": {"config", "core", "errors", "served_files", "wire"},
    "served_files": {"core"},
    "ledger_checks": {"config", "core", "ledger"},
    "starting": {"config", "core", "generations", "ledger", "ledger_checks", "payload_keys", "settings", "supervisor"},
    "payload_keys": {"durable"},
    "first_look": set(),
    "settings": {"setting_readers"},
    "setting_readers": set(),
    "logs": set(),
    # Processes.
    "children": {"tasks"},
    "data_directory": {"children"},
    "duty": {"children"},
    "listening": {"children"},
    "supervisor": {
        "adapters",
        "children",
        "data_directory",
        "duty",
        "first_look",
        "ledger",
        "listening",
        "payload_keys",
        "served_files",
        "tasks",
    },
    # What a person types.
    "keys": {"config", "core", "ledger"},
    "control_client": set(),
    "approvals_text": {"core"},
    "approvals_edit": {"core"},
    "approvals_grants": {"config", "core"},
    "approvals_numbers": {"approvals_text", "core"},
    "reading": {"adapters", "core", "open_calls", "ports"},
    "demo": {"demo"},
}
"""By layer. `app` and `cli` put everything together and may import all; nobody may import those two."""
COMPOSES = {
    "anchors", "app", "approvals_asking", "approvals_cli", "approvals_grants_cli", "audit", "cli", "__main__", "duties",
    "exporting", "keeping", "measures", "notifying", "page", "parts", "readiness", "retention", "sealing", "serving",
    "stewarding", "trimming", "working",
}  # fmt: skip

ALLOWANCES: dict[str, dict[str, str]] = {
    "adapters.cedar": {
        "config.policies": "the loaded policy set is its input: one parser and type checker for all",
        "config.schema": "evaluates under the very schema that policies were checked against",
    },
    "adapters.cedar_grants": {
        "adapters.cedar": "a grant is asked the same question, framed in the same way, as the policies",
        "config.grant_text": "writes the permit in the words of the schema",
        "config.policies": "a grant is one more loaded policy",
        "config.policy_tree": "which arguments a grant reads",
        "config.schema": "a grant is checked against the very schema that policies were checked against",
    },
    "adapters.embedded": {
        "children": "the embedded server is a child process like the others",
        "data_directory": "where it lives, and who may be there",
        "valkey_log": "why it ended, which /readyz says too",
    },
    "adapters.otlp.encoding": {"__version__": "names itself to the collector"},
    "adapters.otlp.environment": {"__version__": "the same"},
    "adapters.otlp.posting": {"__version__": "the same"},
    "adapters.otlp.figures": {"__version__": "the same"},
    "adapters.redis.journal": {"adapters.payload_cipher": "a command that needs no payload has no keys"},
    "adapters.slack": {"__version__": "names itself to Slack"},
    "adapters.webhook_sender": {"__version__": "names itself to the receiver"},
    "generations": {
        "adapters.cedar": "compiles policies while loading; a port for it would have one user",
        "adapters.cedar_grants": "the same for standing grants",
    },
    "doors.agents": {"generations": "reads requests with the index that was compiled with the generation"},
    "doors.control": {
        "adapters.redis.held": "handed on to `doors.waiting`",
        "adapters.redis.journal": "suspends agents, acknowledges losses: a port of its own, later",
        "adapters.redis.ledger": "lists calls: a port of its own, later",
        "adapters.secrets": "callback secrets, read when a callback comes",
        "__version__": "named by /readyz",
    },
    "doors.waiting": {"adapters.redis.held": "finds a page of held calls: a port of its own, later"},
    "doors.deciding": {"adapters.secrets": "the same"},
    "doors.people": {"adapters.secrets": "the same"},
    "supervisor": {"__version__": "names itself when it is ready"},
}

THIRD_PARTY: dict[str, set[str]] = {
    "core": {"orjson"},
    "errors": set(),
    "control_errors": set(),
    "ports": set(),
    "grant_ports": set(),
    **{name: set() for name in ENGINE},
    "wire": {"cryptography", "jiter", "jsonschema_rs", "orjson", "rfc8785"},
    "ledger": {"cryptography", "orjson", "rfc8785"},
}
"""What these layers may use beside the standard library: nothing that does I/O, so nothing that can change under us."""

IMPURE = {
    "asyncio", "concurrent", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request", "uuid",
}  # fmt: skip
"""Never in core: clocks, chance and the world are arguments there."""
CLOCKS = {"now", "utcnow", "today"}

LONGEST_FILE, LONGEST_FUNCTION = 300, 40
LONG_FILES = {
    "ports.py": (317, "what the engine needs of the world: one list of obligations"),
    "config/models.py": (315, "the shape of routes.yaml: one list, a class for each mapping"),
    "core/facts.py": (390, "the vocabulary of what can happen to a call: one list, each with its fields"),
    "adapters/redis/journal.py": (352, "to be split: what was acknowledged, and its loss, is a subject of its own"),
    "adapters/cedar.py": (330, "one outside thing, one file: the only one that knows cedarpy"),
}
LONG_FUNCTIONS = {
    "stewarding.py steward": (54, "one part a line"),
    "core/timeline.py line": (68, "one sentence per fact: a table, written as a match"),
    "core/record.py _changes": (54, "one line per fact: a table, written as a match"),
    "core/fact_attributes.py of_fact": (47, "one line per fact: a table, written as a match"),
    "core/lives.py _tell": (45, "one line per fact: a table, written as a match"),
    "engine.py drive": (46, "one arm per step"),
}
"""With the length that each may not exceed."""

TESTED_ELSEWHERE: dict[str, str] = {
    "__main__": "test_cli",
    "digest_ports": "contracts/test_digests",
    "doors.ending": "console/test_pages",
    "duties": "doors/test_control_plane",
    "core.addresses": "adapters/test_addresses",
    "core.expected": "core/test_lifecycle",
    "core.identity": "adapters/test_oidc",
    "core.ledger_settings": "config/test_ledger",
    "core.secret_reference": "config/test_references",
    "adapters.announcer": "doors/test_control_plane",
    "adapters.memory_digests": "contracts/test_digests",
    "adapters.memory_grants": "contracts/test_grants",
    "adapters.memory_journal": "contracts/test_journal",
    "adapters.otlp.answers": "adapters/otlp/test_collector",
    "adapters.otlp.encoding": "adapters/otlp/test_collector",
    "adapters.otlp.entries": "adapters/otlp/test_exporter",
    "adapters.otlp.posting": "adapters/otlp/test_environment",
    "adapters.otlp.reading": "adapters/otlp/test_exporter",
    "adapters.redis.sealed_ledger": "contracts/test_sealed_ledger",
    "adapters.redis.digests": "contracts/test_digests",
    "adapters.redis.grants": "contracts/test_grants",
    "adapters.redis.connecting": "contracts/test_redis_line",
    "adapters.redis.cluster": "contracts/test_redis_line",
    "adapters.redis.deployment": "contracts/test_deployment",
    "adapters.redis.held": "contracts/test_held",
    "adapters.redis.high_water": "contracts/test_redis_journal",
    "adapters.redis.command": "contracts/test_redis_journal",
    "adapters.redis.journal": "contracts/test_redis_journal",
    "adapters.redis.latencies": "test_metrics",
    "adapters.redis.lately": "contracts/test_lately",
    "adapters.redis.ledger": "contracts/test_ledger",
    "adapters.redis.line": "contracts/test_redis_line",
    "adapters.redis.scripts": "contracts/test_journal",
    "adapters.redis.seals": "contracts/test_seals",
    "adapters.redis.unsealed": "contracts/test_unsealed",
    "adapters.redis.trimming": "contracts/test_trimming",
    "trimming": "contracts/test_trimming",
    "adapters.store": "contracts/test_store",
    "core.sealed": "contracts/test_seals",
    "ledger.copying": "ledger/test_sealing",
    "ledger.seals": "contracts/test_seals",
    "ledger.anchored": "ledger/test_rewound",
    "ledger.seams": "ledger/test_sealing",
    "ledger.standing": "ledger/test_sealing",
    "ledger.store": "contracts/test_store",
    "ledger.unsealable": "ledger/test_sealing",
    "ledger.witnesses": "ledger/test_sealing",
    "adapters.upstream.causes": "adapters/test_upstream",
    "adapters.upstream.reply": "adapters/test_upstream",
    "adapters.upstream.room": "adapters/test_upstream_room",
    "adapters.upstream.sender": "adapters/test_upstream",
    "app": "test_reaching",
    "parts": "test_reaching",
    "serving": "doors/test_control_plane",
    "stewarding": "doors/test_control_plane",
    "exporting": "adapters/otlp/test_figures",
    "audit.cli": "test_cli",
    "audit.comparing": "audit/test_receipts",
    "audit.configured": "audit/test_key",
    "audit.finding": "audit/test_showing",
    "audit.ocsf": "audit/test_exporting",
    "audit.opening": "audit/test_showing",
    "audit.options": "audit/test_showing",
    "audit.reading": "audit/test_showing",
    "audit.spreadsheet": "audit/test_exporting",
    "audit.telling": "audit/test_showing",
    "audit.trust": "audit/test_showing",
    "core.deployment": "core/test_leaf",
    "core.story_people": "core/test_story",
    "ledger.index_file": "ledger/test_index",
    "ledger.restoring": "ledger/test_sealing",
    "adapters.redis.history": "console/test_pages",
    "adapters.redis.short_lived": "console/test_pages",
    "config.mistakes": "config/test_policies",
    **{
        f"console.{name}": "console/test_pages"
        for name in (
            "card",
            "deciding",
            "guard",
            "inbox",
            "past",
            "questions",
            "rendering",
            "signing_in",
        )
    },
    "console.other_facts": "console/test_record_proof",
    "console.scale": "console/test_drawing",
    "approvals_asking": "test_approvals_cli",
    "approvals_grants_cli": "test_approvals_cli",
    "control_client": "test_approvals_cli",
    "control_errors": "doors/test_control_plane",
    "core.attributes": "core/test_fact_attributes",
    "core.facts": "core/test_codec",
    "core.figures": "test_metrics",
    "core.kept": "adapters/test_payload_store",
    "core.owed": "test_destruction",
    "core.quota": "test_questions",
    "core.outcomes": "console/test_pages",
    "core.record": "core/test_lifecycle",
    "core.routes": "config/test_routes_file",
    "core.value": "core/test_call",
    "core.verdict": "core/test_approval",
    "adapters.redis.suspensions": "doors/test_control_plane",
    "measures": "test_metrics",
    "open_calls": "doors/test_control_plane",
    "doubts": "doors/test_control_plane",
    "demo.approver": "test_demo",
    "demo.collector": "test_demo",
    "demo.listener": "test_demo",
    "demo.proof": "test_demo",
    "demo.record": "test_demo",
    "demo.stage": "test_demo",
    "demo.story": "test_demo",
    "demo.transcript": "test_demo",
    "doors.agents": "doors/test_agents_port",
    "doors.control": "doors/test_control_plane",
    "doors.deciding": "doors/test_control_plane",
    "doors.control_bodies": "doors/test_control_plane",
    "doors.control_documents": "doors/test_control_plane",
    "doors.people": "doors/test_control_plane",
    "standing": "test_granting",
    "doors.rendering": "doors/test_agents_port",
    "doors.unrecorded": "doors/test_control_plane",
    "acting": "test_crashes",
    "engine": "test_crashes",
    "grant_ports": "contracts/test_grants",
    "payload_ports": "adapters/test_payload_cipher",
    "adapters.redis.copies": "test_retention",
    "adapters.redis.payloads": "contracts/test_payloads",
    "audit.erase": "test_erasing",
    "errors.base": "test_errors",
    "errors.denied": "test_errors",
    "errors.later": "test_errors",
    "errors.refused": "test_errors",
    "judging": "test_taking_over",
    "keys": "test_cli",
    "notifying": "doors/test_slack",
    "life": "test_races",
    "page": "console/test_pages",
    "ports": "contracts/test_journal",
    "randomness": "test_crashes",
    "reading": "test_cli",
    "sending": "test_recording",
    "setting_readers": "test_settings",
    "valkey_log": "adapters/test_embedded",
}
"""Modules whose tests are not at tests/x/test_y.py for gateway/x/y.py -> where they are."""


def module(path: Path) -> str:
    """`core.call` for gateway/core/call.py; empty for the package itself."""
    parts = path.relative_to(ROOT / "gateway").with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").rstrip(".")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Every imported module, in full. `from gateway import errors` is gateway.errors."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if exists(name) else node.module for name in names}
    return found


def exists(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists() or name == "gateway.__version__"


def ours(path: Path) -> set[str]:
    return {name.removeprefix("gateway.") for name in imports(path) if name.split(".")[0] == "gateway"} - {"gateway"}


def theirs(path: Path) -> set[str]:
    roots = {name.split(".")[0] for name in imports(path)} - {"gateway"}
    return roots - set(sys.stdlib_module_names)


def layer(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def within(name: str, allowed: set[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in allowed)


every_file = pytest.mark.parametrize("path", FILES, ids=module)


# --- Who may import whom ----------------------------------------------------------------------------------------------


@every_file
def test_imports_point_inwards(path):
    name = module(path)
    if layer(name) in COMPOSES or not name:
        return
    assert layer(name) in MAY_IMPORT, f"{name} belongs to no layer: decide which, and say so in MAY_IMPORT"
    allowed = MAY_IMPORT[layer(name)] | set(ALLOWANCES.get(name, {}))
    strays = {found for found in ours(path) if not within(found, allowed) and not own(name, found)}
    assert not strays


def own(name: str, found: str) -> bool:
    """An adapter that is a package may import its own files."""
    package = ".".join(name.split(".")[:2])
    return (
        layer(name) == "adapters"
        and (ROOT / "gateway" / Path(*package.split("."))).is_dir()
        and within(found, {package})
    )


@every_file
def test_nobody_imports_what_composes(path):
    if layer(module(path)) not in COMPOSES:
        assert not {layer(name) for name in ours(path)} & COMPOSES


@pytest.mark.parametrize(("name", "allowed"), [(name, more) for name, found in ALLOWANCES.items() for more in found])
def test_every_allowance_is_still_needed(name, allowed):
    path = next(path for path in FILES if module(path) == name)
    assert allowed in ours(path), "remove it from ALLOWANCES"
    assert not within(allowed, MAY_IMPORT[layer(name)]), "the layer may import it anyway; remove it from ALLOWANCES"


@every_file
def test_the_inside_uses_nothing_that_does_input_or_output(path):
    if layer(module(path)) in THIRD_PARTY:
        assert theirs(path) <= THIRD_PARTY[layer(module(path))]


# --- Purity -----------------------------------------------------------------------------------------------------------


@every_file
def test_core_is_pure(path):
    if layer(module(path)) != "core":
        return
    assert not {name for name in imports(path) if within(name, IMPURE)}
    for node in ast.walk(tree(path)):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith), node.lineno
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in CLOCKS, f"line {node.lineno}: a clock; the time is an argument in core"
            assert called not in {"open", "print", "input"}, f"line {node.lineno}: {called}"


@every_file
def test_tasks_are_made_in_one_place(path):
    made = {
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    } & {"create_task", "ensure_future"}
    assert not made or module(path) == "tasks", "use gateway.tasks.spawn: the event loop keeps weak references only"


# --- Length and theory ------------------------------------------------------------------------------------------------


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT / "gateway"))


def lengths(path: Path) -> dict[str, int]:
    """Of functions, in lines, without their decorators."""
    return {
        f"{relative(path)} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@every_file
def test_files_and_functions_are_short(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONG_FILES.get(relative(path), (LONGEST_FILE, ""))[0]
    for name, length in lengths(path).items():
        assert length <= LONG_FUNCTIONS.get(name, (LONGEST_FUNCTION, ""))[0], name


def test_every_exception_to_the_lengths_is_still_needed():
    for name in LONG_FILES:
        assert (ROOT / "gateway" / name).read_text(encoding="utf-8").count("\n") > LONGEST_FILE, f"remove {name}"
    for name in LONG_FUNCTIONS:
        path = ROOT / "gateway" / name.split()[0]
        assert lengths(path)[name] > LONGEST_FUNCTION, f"remove {name}"


@every_file
def test_every_module_opens_with_its_theory(path):
    if relative(path) == "__main__.py":
        return
    said = ast.get_docstring(tree(path))
    assert said and len(said) > 20, "say what it is for and what it must never do"
    assert said.rstrip().endswith((".", ")", "`", "|")) or "\n\n    " in said or said.strip()[-1].isalnum(), said[-40:]


@every_file
def test_names_are_words(path):
    assert not {"utils", "helpers", "manager", "misc", "common", "util"} & set(module(path).split("."))


# --- Tests ------------------------------------------------------------------------------------------------------------


def mirrored(path: Path) -> Path:
    """tests/x/test_y.py for gateway/x/y.py; for a package, what is named after the package."""
    place = path.relative_to(ROOT / "gateway").with_suffix("")
    place = place.parent if place.name == "__init__" else place
    return ROOT / "tests" / place.parent / f"test_{place.name}.py"


def is_a_shell(path: Path) -> bool:
    """A file of nothing but a docstring and names from elsewhere."""
    passing = (ast.Expr, ast.ImportFrom, ast.Assign) if path.name == "__init__.py" else ast.Expr
    return all(isinstance(node, passing) for node in tree(path).body)


@every_file
def test_every_module_has_tests(path):
    name = module(path)
    if mirrored(path).exists():
        assert name not in TESTED_ELSEWHERE, "it has a test module of its own: remove it from TESTED_ELSEWHERE"
    elif not is_a_shell(path):
        where = mirrored(path).relative_to(ROOT)
        assert name in TESTED_ELSEWHERE, f"write {where}, or say in TESTED_ELSEWHERE whose tests run it"
        assert (ROOT / "tests" / f"{TESTED_ELSEWHERE[name]}.py").exists(), (
            f"{TESTED_ELSEWHERE[name]} is gone: write {where}"
        )


def test_nothing_is_said_about_modules_that_are_gone():
    known = {module(path) for path in FILES}
    assert set(TESTED_ELSEWHERE) <= known
    assert set(ALLOWANCES) <= known
    assert {name for name in MAY_IMPORT if not any(layer(module) == name for module in known)} == set()


def test_no_two_test_modules_of_a_folder_tree_share_a_name_and_a_subject():
    """Modules of one name are told apart by their folder only; more than two of a name confuse every report."""
    names = [path.stem for path in TESTS if path.stem.startswith("test_")]
    assert max(names.count(name) for name in names) <= 3  # `addresses` has three subjects
