"""`gateway audit secrets`, typed: places are named, and nothing of what was found is shown."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.audit.cli import audit
from gateway.core.facts import Admitted, Lost
from tests import possible_record as record
from tests.core.test_credentials import A40
from tests.playbook import ALLOW, CALL, claimed
from tests.possible_record import PARTITIONS
from tests.sealed_log import write_log

HERE = PARTITIONS[0]
SECRET = "sk_" + "live_" + A40


def run(ledger: Path) -> tuple[int, str]:
    result = CliRunner().invoke(audit, ["secrets", "--ledger", str(ledger)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert A40 not in result.output
    return result.exit_code, result.output


def test_an_ordinary_record_holds_none(tmp_path):
    assert run(record.write(tmp_path, record.small())) == (0, "15 facts searched, 0 look like a credential.\n")


def test_what_is_found_is_named_and_not_shown(tmp_path):
    told = Admitted(call=replace(CALL, reason=f"with {SECRET}"))
    lost = Lost(token="t1", error=f"refused: Authorization: Bearer {A40}")
    record.write(tmp_path, record.of(((told, ALLOW, claimed("t1")), lost), 3))
    code, said = run(tmp_path)
    assert code == 1
    assert f"log {HERE}, leaf 0 (call {HERE}{3:020x}), fact.call.reason: a Stripe key\n" in said
    assert f"log {HERE}, leaf 3 (call {HERE}{3:020x}), fact.error: a bearer token\n" in said
    assert "4 facts searched, 2 look like a credential." in said


def test_a_long_leaf_is_searched_too(tmp_path):
    told = Admitted(call=replace(CALL, reason="x" * 70_000 + f" {SECRET}"))
    record.write(tmp_path, record.of(((told,),), 3))
    code, said = run(tmp_path)
    assert code == 1 and "leaf 0" in said and "a Stripe key" in said


@pytest.mark.parametrize("leaf", [
    SECRET.encode(), b'["%b"]' % SECRET.encode(), b'{"%b":{"%b":1}}' % (SECRET.encode(), SECRET.encode()),
    b'{"call":"%b","fact":{"a":[1,null,"%b"]}}' % (SECRET.encode(), SECRET.encode()),
    b'{"digest":"../../etc/passwd","x":"%b"}' % SECRET.encode(),
])  # fmt: skip
def test_what_is_no_leaf_is_searched_and_not_shown_either(tmp_path, leaf):
    write_log(tmp_path, HERE, [leaf])
    code, said = run(tmp_path)
    assert code == 1 and "a Stripe key" in said


def test_what_cannot_be_read_is_said(tmp_path):
    record.write(tmp_path, record.small())
    next((tmp_path / HERE / "tile" / "entries").rglob("*.p/*")).unlink()
    code, said = run(tmp_path)
    assert code == 1 and "it is missing; see gateway audit verify" in said
    assert run(tmp_path / "no")[0] == 1
