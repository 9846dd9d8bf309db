"""`audit show` and `audit list`, typed: the whole story and its proof, and what is said when there is none."""

import re
import shutil
import sqlite3
from dataclasses import replace

import pytest

from gateway.ledger.files import LogFiles
from gateway.ledger.index_file import NAME as INDEX
from gateway.ledger.note import Signer
from gateway.ledger.tiles import bundle_path
from tests.audit.typing_audit import KEY, told, typed
from tests.sealed_lives import (
    ALLOW,
    ANSWER,
    ASKED,
    CLAIM,
    FINDS,
    G1,
    G2,
    GRANT,
    HOLD,
    LIVES,
    START,
    YES,
    call,
    id_of,
    leaves_of_life,
    sealed,
)
from tests.sealed_log import SIGNER, entry, write_log

APPROVED = id_of("approved")


@pytest.fixture
def ledger(tmp_path):
    return sealed(tmp_path / "ledger")


def test_the_whole_story_of_a_call(ledger):
    done = typed("show", APPROVED, "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 0 and done.stderr == ""
    said = done.stdout
    assert said.startswith(f"Call {APPROVED}: answered 200\n")
    for heading in ("Who asked", "What the policies said", "Who decided", "What was sent", "How it ended", "Proof"):
        assert f"\n{heading}\n" in said
    assert "ann said yes for finance to request aaaaaaaaaaaa; authentication: by token" in said
    assert f"{G2}: loaded 1970-01-01T00:00:00.000Z by version 1.0 (log 64, leaf 1)" in said
    assert f"    {'9' * 64}  routes.yaml" in said
    log = LogFiles.open(ledger, APPROVED[:2])
    assert f"gateway.test/audit/{APPROVED[:2]}, {log.size} facts, root {log.tree().root.hex()}" in said
    assert "all 8 facts are in that log, in order, and could have happened so" in said
    assert f"signature     by {KEY}" in said
    assert re.search(r"the newest fact in this log is of 2026-11-20T10:01:01.000Z, \d+ .* ago", said)


@pytest.mark.parametrize("name", LIVES)
def test_every_life_can_be_shown(ledger, name):
    document = told("show", id_of(name), "--ledger", ledger, "--key", KEY)
    assert document["state"].removesuffix(" 200").removesuffix(" 404") == FINDS.get(name, name)
    assert document["proof"]["verified"] and document["proof"]["problems"] == []
    assert [fact["type"] for fact in document["facts"]] == [type(fact).__name__ for fact in LIVES[name]]
    assert [fact["position"] for fact in document["facts"]] == list(range(len(LIVES[name])))


def test_a_program_gets_everything(ledger):
    document = told("show", APPROVED, "--ledger", ledger, "--key", KEY)
    assert document["kind"] == "call" and document["id"] == APPROVED
    assert document["facts"][0]["fact"]["call"]["user"] == "eve@acme.example"
    assert len(document["facts"][0]["leaf_hash"]) == 64 and document["facts"][0]["partition"] == APPROVED[:2]
    assert [(each["generation"], each["leaf"]) for each in document["generations"]] == [(G1, 0), (G2, 1)]
    assert document["proof"]["signature_checked_with"] == KEY
    assert document["story"][0]["heading"] == "Who asked"


def test_a_grant(ledger):
    said = typed("show", GRANT[:12], "--ledger", ledger, "--key", KEY).stdout
    assert said.startswith(f"Grant {GRANT}: revoked")
    assert (
        "lets pass     over-50, which needs a yes of finance" in said or "over-50, which needs a yes of finance" in said
    )
    assert "ann gave it when asked about call x; authentication: by token" in said
    assert "olga revoked it: it meets nothing any more" in said
    assert "all 2 facts" in said


def test_the_beginning_of_an_id_is_enough(ledger):
    lonely = call(4096 * 4096)
    name = lonely.call.id
    shutil.rmtree(ledger / "64")
    write_log(ledger, name[:2], leaves_of_life(lonely, ALLOW, CLAIM, ANSWER))
    assert told("show", name[:17], "--ledger", ledger, "--key", KEY)["id"] == name
    assert told("show", name[:17], "--ledger", ledger, "--key", KEY, "--afresh")["id"] == name


@pytest.mark.parametrize("afresh", [[], ["--afresh"]])
@pytest.mark.parametrize(
    ("typed_", "said"),
    [
        ("59", "is too short"),
        ("grant-5", "is too short"),
        ("59000000", 'Several ids begin with "59000000", such as'),
        ("5911111111", 'No call and no grant begins with "5911111111" in'),
        ("59" + "1" * 22, "in log 59, which has 63 facts."),
        ("00" + "1" * 22, "There is no log 00 in"),
        ("xyzxyz", 'No call and no grant begins with "xyzxyz" in'),
        ("grant-00aa", 'No call and no grant begins with "grant-00aa" in'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
        ("5" * 1_000_000, "(1000000 characters)"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(ledger, typed_, said, afresh):
    done = typed("show", typed_, "--ledger", ledger, *afresh)
    assert done.exit_code == 1 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1 and "\x1b" not in done.stderr


def test_no_ledger_and_no_key(ledger, tmp_path):
    for words in (("show", APPROVED), ("list",), ("export",), ("receipt", APPROVED), ("diff", APPROVED), ("secrets",)):
        done = typed(*words, "--ledger", tmp_path / "nowhere")
        assert done.exit_code == 1 and "There is no sealed log in" in done.stderr and done.stdout == ""
    assert f"did you mean --ledger {ledger}?" in typed("list", "--ledger", ledger.parent).stderr
    for key, said in (
        ("a+b", "--key KEY: it is not of the form"),
        (tmp_path / "k", "is neither a verifier key (name+hash+base64) nor a file"),
        ("k" * 1_000_000, "(1000000 characters) is neither a verifier key"),
        (tmp_path, "The key cannot be read"),
        (SIGNER.text(), "private"),
    ):
        done = typed("show", APPROVED, "--ledger", ledger, "--key", key)
        assert done.exit_code == 1 and said in done.stderr and SIGNER.text()[-20:] not in done.stderr


def test_whose_signature(ledger, tmp_path):
    file = tmp_path / "verifier"
    file.write_text(f"{KEY}\n")
    assert f"by {KEY}" in typed("show", APPROVED, "--ledger", ledger, "--key", file).stdout
    done = typed("show", APPROVED, "--ledger", ledger)
    assert "not looked at: give the verifier key by --key" in done.stdout and "verified now" not in done.stdout
    assert done.exit_code == 1 and "This is not proved: No key was given" in done.stderr
    assert done.stdout.splitlines()[1].startswith("NOT PROVED: No key was given, and none lies beside these files")
    (tmp_path / "ledger.key").write_text(SIGNER.text())
    done = typed("show", APPROVED, "--ledger", ledger)
    assert f"by {KEY}" in done.stdout and "an auditor gives --key" in done.stderr, "the signing key is beside it"
    other = Signer.new("gateway.test/audit").verifier
    done = typed("show", APPROVED, "--ledger", ledger, "--key", str(other))
    assert done.exit_code == 1 and "This is not proved: The checkpoint is not signed as it must be" in done.stderr
    assert "WRONG" in done.stdout and "verified now" not in done.stdout
    assert done.stdout.splitlines()[1].startswith("NOT PROVED: The checkpoint is not signed as it must be")


def test_a_changed_leaf_is_noticed(ledger):
    log = LogFiles.open(ledger, APPROVED[:2])
    file = log.directory / bundle_path(0, log.size)
    file.write_bytes(file.read_bytes().replace(b'"by":"ann"', b'"by":"bob"'))
    done = typed("show", APPROVED, "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 1 and "is not in the log that was signed" in done.stderr
    file.unlink()
    done = typed("show", APPROVED, "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 1 and "The log is damaged" in done.stderr and "gateway audit verify" in done.stderr


def test_an_index_that_lies_hides_nothing(ledger):
    """It says that the call begins later, or is over earlier: the log is read all the same."""
    typed("list", "--ledger", ledger)
    for lie in ("leaves = x'0700000000000000'", "leaves = x''", "leaves = x'0500000000000000'"):
        with sqlite3.connect(ledger / INDEX) as base:
            base.execute(f"UPDATE subject SET {lie} WHERE id = ?", (APPROVED,))
        assert len(told("show", APPROVED, "--ledger", ledger, "--key", KEY)["facts"]) == 8
    with sqlite3.connect(ledger / INDEX) as base:
        base.execute("DELETE FROM subject")
    assert len(told("show", APPROVED, "--ledger", ledger, "--key", KEY)["facts"]) == 8


def test_a_fact_of_a_newer_version(tmp_path):
    first = call(1)
    leaves = leaves_of_life(first, HOLD, ASKED)
    leaves[2] = leaves[2].replace(b'"Asked"', b'"Mused"')
    write_log(tmp_path, first.call.id[:2], leaves)
    done = typed("show", first.call.id, "--ledger", tmp_path)
    assert done.exit_code == 1 and "cannot be read" in done.stderr and "newer gateway" in done.stderr
    assert f"Call {first.call.id}: unreadable" in done.stdout


def test_a_journal_that_lost_facts_is_told_so(tmp_path):
    first = call(1)
    name = first.call.id
    leaves = leaves_of_life(first, HOLD, ASKED, YES)
    leaves += entry(99, name, 2, [replace(ASKED, at=START + 9)])
    write_log(tmp_path, name[:2], leaves)
    said = typed("show", name, "--ledger", tmp_path).stdout
    assert "2 facts had been lost by the journal" in said
    assert said.count("(lost by the journal: what stands in its place counts)") == 2
    assert "said yes" not in said.partition("Every fact")[0]


# --- Listing ----------------------------------------------------------------------------------------------------------


def listed(ledger, *options: str) -> list[str]:
    found = {row["id"] for row in told("list", "--ledger", ledger, "--limit", "100", *options)}
    return [name for name in LIVES if id_of(name) in found]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), list(LIVES)),
        (("--agent", "night-bot"), ["denied", "read"]),
        (("--tool", "crm.get_person"), ["read"]),
        (("--system", "crm"), ["read"]),
        (("--outcome", "in-doubt"), ["in doubt"]),
        (("--outcome", "in doubt"), ["in doubt"]),
        (("--outcome", "in_doubt"), ["in doubt"]),
        (("--resource", "Charge/ch_1"), [name for name in LIVES if name != "read"]),
        (("--resource", "Charge"), []),
        (("--outcome", "denied", "--person", "bob"), ["rejected"]),
        (("--policy", "no-nights"), ["denied"]),
        (("--user", "eve@acme.example"), ["approved"]),
        (("--run", "run-7"), ["approved"]),
        (("--since", "2026-11-20T10:00:53Z"), ["judging", "read"]),
        (("--until", "2026-11-20T10:00:05Z"), ["answered"]),
        (("--since", "2026-11-20", "--until", "2026-11-21"), list(LIVES)),
        (("--until", "2026-11-20"), []),
        (("--since", "1m"), []),
        (("--since", "3000d"), list(LIVES)),
        (("--since", "2026-11-20T11:00:53+01:00"), ["judging", "read"]),
    ],
)
def test_filters(ledger, options, expected):
    assert listed(ledger, *options) == expected
    assert listed(ledger, "--afresh", *options) == expected


def test_a_list_for_people(ledger):
    done = typed("list", "--ledger", ledger, "--limit", "3")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["CALL", "BEGUN", "STATE", "AGENT", "TOOL", "ABOUT"]
    assert [line.split()[0] for line in lines[1:]] == [id_of("read"), id_of("judging"), id_of("executing")]
    assert "answered" in lines[1] and "status 404" in lines[1] and lines[2].endswith("Charge/ch_1, by ann")
    assert done.stderr == "The newest 3; --limit shows more.\n"
    done = typed("list", "--ledger", ledger, "--agent", "nobody")
    assert done.exit_code == 0 and done.stderr.startswith("No such calls are sealed. Names have to be whole")
    assert typed("list", "--ledger", ledger, "--until", "2026-01-01").stderr == "No such calls are sealed.\n"


def test_what_no_call_can_be_is_a_mistake(ledger):
    done = typed("list", "--ledger", ledger, "--outcome", "lovely")
    assert done.exit_code == 2 and "'lovely' is none of answered, denied," in done.stderr
    for command in ("list", "export"):
        assert typed(command, "--ledger", ledger, "--limit", str(10**20)).exit_code == 2
    done = typed("list", "--ledger", ledger, "--since", "2026-11-28", "--until", "2026-11-01")
    assert done.exit_code == 2 and "is not after --since" in done.stderr


def test_times_that_are_none(ledger):
    for time in ("yesterday", "99999d", "2026-13-01"):
        done = typed("list", "--ledger", ledger, "--since", time)
        assert done.exit_code == 2 and "Invalid value" in done.stderr


def test_names_that_a_terminal_would_obey(tmp_path):
    evil = call(1, resource="Charge/\x1b[2J\u202e", run="a\nb")
    write_log(tmp_path, evil.call.id[:2], leaves_of_life(evil, ALLOW, CLAIM, ANSWER))
    for done in (
        typed("list", "--ledger", tmp_path), typed("show", evil.call.id, "--ledger", tmp_path, "--key", KEY),
        typed("list", "--ledger", tmp_path, "--json"),
        typed("show", evil.call.id, "--ledger", tmp_path, "--key", KEY, "--json"),
    ):  # fmt: skip
        assert done.exit_code == 0 and "\x1b" not in done.stdout and "\u202e" not in done.stdout


def test_a_log_that_is_damaged_is_said_so(ledger):
    partition = id_of("read")[:2]
    (LogFiles.open(ledger, partition).directory / "checkpoint").write_text("nonsense")
    done = typed("list", "--ledger", ledger)
    assert done.exit_code == 1 and "The log is damaged" in done.stderr


def test_an_index_that_somebody_holds_is_said_so(ledger, monkeypatch):
    from gateway.ledger import index_file

    typed("list", "--ledger", ledger)
    monkeypatch.setattr(index_file, "PATIENCE_SECONDS", 0.05)
    other = sqlite3.connect(ledger / INDEX, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    done = typed("list", "--ledger", ledger)
    assert done.exit_code == 0 and APPROVED in done.stdout, "it is made in memory instead"
    other.execute("ROLLBACK")
    other.close()
