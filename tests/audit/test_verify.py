"""`gateway audit verify`, typed: what a person reads, what a script gets."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.audit import parallel, verify
from gateway.audit.cli import audit
from gateway.ledger.note import Signer
from tests import possible_record as record
from tests.possible_record import EFFECT, LOADED, PARTITIONS
from tests.sealed_log import SIGNER

KEY = str(SIGNER.verifier)
HERE = PARTITIONS[0]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return record.write(tmp_path / "ledger", record.small())


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(audit, ["verify", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_what_was_verified_is_said_and_by_whose_key(ledger):
    code, said = run("--ledger", ledger, "--key", KEY)
    assert code == 0
    assert f"Key     {KEY}\n        given by --key." in said
    assert "Facts   15 about 4 calls, from 2026-11-20T10:00:01Z to 2026-11-20T10:00:08Z" in said
    assert "Logs    3 of 65 have leaves" in said
    assert "Before  not compared" in said
    assert said.endswith(f"\nVerified: {verify.WHAT}\n")


def test_a_key_that_the_host_gives_is_said_to_trust_the_host(ledger):
    (ledger.parent / "ledger.key").write_text(SIGNER.text())
    code, said = run("--ledger", ledger)
    assert code == 0
    assert "This trusts the host" in said and "PRIVATE" not in said


def test_the_key_may_be_in_a_file(ledger, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert run("--ledger", ledger, "--key", tmp_path / "key")[0] == 0


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (None, "No key was given, and none lies beside these files: give --key"),
        ("nowhere", '"nowhere" is neither a verifier key (name+hash+base64) nor a file'),
        (SIGNER.text(), "it is the private key"),
        (KEY.replace("+", "+0", 1), "it is not of the form"),
    ],
)
def test_without_a_key_nothing_is_verified(ledger, key, why):
    code, said = run("--ledger", ledger, *(("--key", key) if key else ()))
    assert code == 1 and why in said and "erified" not in said
    assert SIGNER.text()[:40] not in said


def test_what_is_wrong_is_named_and_ends_with_one(ledger):
    file = next((ledger / HERE / "tile" / "entries").rglob("*.p/*"))
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    code, said = run("--ledger", ledger, "--key", KEY)
    assert code == 1 and not re.search(r"^Verified", said, re.MULTILINE)
    assert "Facts   15 are signed for\n" in said and "Digest" not in said
    assert f"NOT VERIFIED. Something is wrong in 1 log ({HERE}):" in said
    offset = bytes(data).rindex(b'{"at"') - 2
    leaf = f"leaf 5 of log {HERE} (call {HERE}{0:020x})"
    assert f"- {file}, byte {offset}, {leaf}: the leaf that begins here, or its length, is not as it was sealed" in said


def test_another_key_is_another_record(ledger):
    code, said = run("--ledger", ledger, "--key", str(Signer.new(SIGNER.name).verifier))
    assert code == 1 and said.count("not under the key") == 3


def test_older_checkpoints_are_counted(ledger, tmp_path):
    older = record.write(tmp_path / "older", record.small()[:5])
    assert (
        "today's logs extend 3 of 3 older checkpoints"
        in run("--ledger", ledger, "--key", KEY, "--checkpoint", older, "--checkpoint", older / HERE / "checkpoint")[1]
    )
    code, said = run("--ledger", older, "--key", KEY, "--checkpoint", ledger)
    assert code == 1 and "rolled back" in said and "extend 1 of 3" in said
    code, said = run("--ledger", ledger, "--key", KEY, "--checkpoint", tmp_path / "none")
    assert code == 1 and said.startswith("The old checkpoints cannot be read:")
    code, said = run("--ledger", ledger, "--key", KEY, "--checkpoint", "n" * 5000)
    assert code == 1 and "it cannot be read (file name too long)" in said


def digest(ledger: Path) -> str:
    [found] = re.findall("Digest  ([0-9a-f]{64})\n", run("--ledger", ledger, "--key", KEY)[1])
    return str(found)


def test_the_same_record_has_the_same_digest_and_another_one_another(ledger, tmp_path):
    other = record.write(tmp_path / "other", record.small(5))
    assert digest(ledger) == digest(ledger) != digest(other)


def test_roots_are_listed_when_asked_for(ledger):
    _, said = run("--ledger", ledger, "--key", KEY, "--roots")
    assert len(re.findall(r"^  \d\d  +\d+  [0-9a-f]{64}$", said, re.MULTILINE)) == 65


def test_an_empty_or_missing_ledger_is_said(tmp_path):
    for place in (tmp_path, tmp_path / "no"):
        code, said = run("--ledger", place, "--key", KEY)
        assert code == 1 and f"There is no sealed log in '{place}': name the directory that has one" in said
    assert "There is no sealed log in" in run("--ledger", tmp_path / "no")[1], "not that its key is missing"
    (tmp_path / "format").write_text("policy-gateway ledger 1\n")
    assert run("--ledger", tmp_path, "--key", KEY)[1].endswith("Verified: there is nothing in it.\n")


@pytest.mark.parametrize("text", ["policy-gateway ledger 2\n", "something else\n", "\xff", ""])
def test_a_ledger_that_another_version_wrote_is_not_read(ledger, text):
    (ledger / "format").write_text("policy-gateway ledger 1\n")
    assert run("--ledger", ledger, "--key", KEY)[0] == 0
    (ledger / "format").write_text(text)
    code, said = run("--ledger", ledger, "--key", KEY)
    assert code == 1 and "the version of the gateway that wrote it" in said and "Facts" not in said


def test_many_leaves_are_verified_by_several_processes(ledger, monkeypatch):
    alone = run("--ledger", ledger, "--key", KEY)[1]
    monkeypatch.setattr(parallel, "ALONE", 0)
    monkeypatch.setattr(parallel, "_alone", None)
    together = run("--ledger", ledger, "--key", KEY)[1]
    assert re.sub("Time.*", "", together) == re.sub("Time.*", "", alone)


def test_a_real_process_ends_with_one_and_no_traceback(ledger):
    (ledger / HERE / "checkpoint").write_bytes(b"\xff" * 100)
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "verify", "--ledger", ledger, "--key", KEY],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr and "it is not UTF-8" in done.stderr


def test_a_large_record_of_one_call_after_another(tmp_path):
    calls = [append for n in range(400) for append in record.of(EFFECT, n)]
    record.write(tmp_path, [*record.deployment(*LOADED), *calls], every_ms=1)
    assert f"{1_600 + len(LOADED):,} about 400 calls" in run("--ledger", tmp_path, "--key", KEY)[1]
