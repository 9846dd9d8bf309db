"""docs/auditing.md: the program that it gives auditors works, and what it shows is what the commands print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.audit.cli import audit
from gateway.ledger.note import Signer
from tests import possible_record as record
from tests.possible_record import EFFECT, PARTITIONS
from tests.sealed_log import SIGNER

PAGE = (Path(__file__).parents[2] / "docs/auditing.md").read_text(encoding="utf-8")
KEY = str(SIGNER.verifier)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """One log has more than a bundle."""
    told = [*record.small(), *(append for n in range(10, 90) for append in record.of(EFFECT, n))]
    return record.write(tmp_path / "ledger", told)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    [text] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    return tmp_path / "own.py"


def own(program: Path, ledger: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(program), str(ledger), KEY]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_program_of_the_page_finds_what_the_command_finds(ledger, program):
    done = own(program, ledger)
    assert done.returncode == 0, done.stderr
    said = CliRunner().invoke(audit, ["verify", "--ledger", str(ledger), "--key", KEY, "--roots"]).output
    ours = [line.split() for line in said.splitlines() if re.match(r"  \d\d ", line) and " 0  " not in line]
    assert [line.split() for line in done.stdout.splitlines()] == ours != []


def test_the_program_of_the_page_finds_a_changed_byte(ledger, program):
    file = next((ledger / PARTITIONS[0] / "tile/entries").glob("000"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    done = own(program, ledger)
    assert done.returncode == 1 and done.stderr == f"log {PARTITIONS[0]} is not what was signed\n"


def test_the_program_of_the_page_says_what_else_may_be_wrong(ledger, program, tmp_path):
    assert own(program, tmp_path / "empty").stderr == f"there is no log in {tmp_path / 'empty'}\n"
    name, _, _ = KEY.partition("+")
    command = [sys.executable, str(program), str(ledger), str(Signer.new(name).verifier)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.fullmatch(r"log \d\d is not signed with this key\n", done.stderr)


def test_what_the_page_shows_is_what_is_printed(ledger):
    file = next((ledger / PARTITIONS[1] / "tile/entries").rglob("*.p/*"))
    well = CliRunner().invoke(audit, ["verify", "--ledger", str(ledger), "--key", KEY]).output
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b" ")
    ill = CliRunner().invoke(audit, ["verify", "--ledger", str(ledger), "--key", KEY]).output
    for said in (well, ill):
        for line in said.splitlines():
            constant = line if line.startswith(("  ", "Verified")) else line[:8].removesuffix("/tmp/p")
            assert f"\n{constant}" in PAGE, line
    sentences = PAGE.split("## When something is wrong")[1].split("\n## ")[0]
    for why in re.findall(r"^\| ((?:`[^`]+`[^|`]*)+)\|", sentences, re.MULTILINE):
        for phrase in re.findall(r"`([^`]+)`", why):
            sources = "".join(path.read_text() for path in Path("gateway/ledger").glob("*.py"))
            parts = [part for part in phrase.split(" ... ") if part]
            assert all(part in sources or part.replace("it is missing", "MISSING") in sources for part in parts), phrase
