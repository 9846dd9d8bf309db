"""What a real gateway sealed, read by an auditor from a copy: every call is proved, told, found and exported."""

import inspect
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.audit.cli import audit
from gateway.ledger.gist import UNREADABLE
from gateway.ledger.note import read_signer
from tests.audit.typing_audit import told, typed
from tests.gateway_process import eventually
from tests.gateway_world import NEVER, World, world


def lived(scene: World) -> dict[str, str]:
    """Calls of several kinds, all over, by how each went."""
    why = 'she asked "nicely"'
    calls = {
        "allowed": scene.pay("ann", 10, gateway_run="run-7", gateway_reason=why).headers["gateway-call"],
        "denied": scene.pay("ben", NEVER).json()["call"],
        "approved": scene.hold("cat"),
        "rejected": scene.hold("dan"),
        "withdrawn": scene.hold("eve"),
    }  # fmt: skip
    scene.approvers.approve(calls["approved"])
    scene.approvers.reject(calls["rejected"])
    scene.agent().delete(f"/calls/{calls['withdrawn']}")
    eventually(lambda: scene.state(calls["approved"]) == "answered")
    eventually(lambda: scene.state(calls["rejected"]) == "denied")
    return calls


def sealed(ledger: Path, calls: Iterable[str]) -> bool:
    """Whether how they ended is in the log."""
    rows = {row["id"]: row["outcome"] for row in told("list", "--ledger", ledger, "--limit", "100")}
    return all(rows.get(call) in ("answered", "denied") for call in calls)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A copy of its data directory, but for the journal: on a machine that has never seen the gateway."""
    with world() as scene:
        calls = lived(scene)
        data = scene.gateway.data
        eventually(lambda: sealed(data / "ledger", calls.values()), "not sealed")
        scene.gateway.end()  # else files might make way for others while they are copied
        ledger = tmp_path_factory.mktemp("record") / "ledger"
        shutil.copytree(data / "ledger", ledger, ignore=shutil.ignore_patterns("index.sqlite*"))
        key = str(read_signer((data / "ledger.key").read_text()).verifier)
    return ledger, calls, key


def test_every_call_is_proved_and_has_a_story(record):
    ledger, calls, key = record
    rows = {row["id"]: row for row in told("list", "--ledger", ledger, "--limit", "100")}
    assert set(calls.values()) <= set(rows)
    assert UNREADABLE not in {row["outcome"] for row in rows.values()}
    for name in rows:
        document = told("show", name, "--ledger", ledger, "--key", key)
        assert document["proof"]["problems"] == []
        assert all(each["loaded"] for each in document["generations"])
    said = typed("show", calls["approved"], "--ledger", ledger, "--key", key).stdout
    assert re.search(
        r"said yes for finance to request [0-9a-f]{12}; authentication: asserted by webhook of finance", said
    )
    assert "exactly what people approved" in said
    assert r'its own words  "she asked \"nicely\""' in typed("show", calls["allowed"], "--ledger", ledger).stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--outcome", "denied"), {"denied", "rejected", "withdrawn"}),
        (("--policy", "large-needs-finance"), {"approved", "rejected", "withdrawn"}),
        (("--policy", "huge-never"), {"denied"}),
        (("--run", "run-7"), {"allowed"}),
        (("--agent", "bot", "--system", "bank", "--since", "10m", "--outcome", "answered"), {"allowed", "approved"}),
        (("--until", "10m"), set()),
    ],
)  # fmt: skip
def test_filters_find_them(record, options, expected):
    ledger, calls, _ = record
    found = {row["id"] for row in told("list", "--ledger", ledger, "--limit", "100", *options)}
    assert {name for name, call in calls.items() if call in found} == expected


def test_the_page_for_auditors_shows_what_is_printed(record):
    """Headings and what each line is about; ids, times and digests are those of another gateway."""
    ledger, calls, key = record
    page = (Path(__file__).parents[2] / "docs/auditing.md").read_text(encoding="utf-8")
    shown = page.split("$ gateway audit show")[1].split("```")[0]
    said = typed("show", calls["approved"], "--ledger", ledger, "--key", key).stdout
    for line in filter(str.strip, shown.splitlines()[2:]):
        beginning = re.split(r"  +|: ", line.strip())[0]
        about = re.sub(r"[0-9a-f]{64}|20[0-9T:.Z-]+|leaf \d+", "", beginning)
        assert line == "..." or about in said, line
    headings = typed("list", "--ledger", ledger).stdout.splitlines()[0]
    assert headings.split() == page.split("$ gateway audit list")[1].splitlines()[1].split()
    asked = typed("diff", calls["approved"], "--ledger", ledger, "--key", key).stdout.splitlines()
    assert asked[-1] in page and asked[0].split()[:2] == ["asked", "for"]
    options = {
        name for row in re.findall(r"^\| (`--.+?) \| ", page, re.MULTILINE) for name in re.findall(r"--[a-z]+", row)
    }
    command = next(each for each in audit.registered_commands if each.name == "list")
    filters = set(inspect.signature(command.callback or pytest.fail).parameters) - {"ledger", "afresh", "as_json"}
    assert options - {"--format"} == {f"--{name}" for name in filters}


def test_receipts_and_exports_of_them(record):
    ledger, calls, key = record
    for call in calls.values():
        made = typed("receipt", call, "--ledger", ledger, "--key", key)
        assert typed("verify-receipt", "-", "--key", key, given=made.stdout.encode()).exit_code == 0
    assert "exactly what was asked for" in typed("diff", calls["approved"], "--ledger", ledger, "--key", key).stdout
    lines = typed("export", "--ledger", ledger).stdout.splitlines()
    facts = [json.loads(line) for line in lines]
    assert not any("unreadable" in fact for fact in facts) and {fact["about"] for fact in facts} == {"call", "gateway"}
    for format_ in ("csv", "ocsf"):
        text = typed("export", "--ledger", ledger, "--format", format_).stdout
        assert all(call in text for call in calls.values())
