"""`audit export`: every fact with its place and hash, calls for spreadsheets that run nothing, events for OCSF."""

import csv
import io
import json

import jsonschema_rs
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from gateway.audit.ocsf import VERSION
from gateway.audit.spreadsheet import COLUMNS, safe
from gateway.ledger.files import LogFiles
from gateway.ledger.index import Filters, Index
from gateway.ledger.merkle import leaf_hash
from tests.audit.typing_audit import typed
from tests.sealed_lives import (
    ALLOW,
    ANSWER,
    ASKED,
    CLAIM,
    EDITED,
    FINDS,
    G1,
    HOLD,
    LIVES,
    PRINT,
    call,
    id_of,
    leaves_of_life,
    sealed,
)
from tests.sealed_log import write_log


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return sealed(tmp_path_factory.mktemp("ledger"))


def exported(ledger, *options):
    done = typed("export", "--ledger", ledger, *options)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def lines(ledger, *options):
    return [json.loads(line) for line in exported(ledger, *options).splitlines()]


def test_every_leaf_of_every_log_as_it_is(ledger):
    found = lines(ledger)
    for partition in sorted(path.name for path in ledger.iterdir() if path.is_dir()):
        log = LogFiles.open(ledger, partition)
        mine = [line for line in found if line["partition"] == partition]
        assert [line["leaf_hash"] for line in mine] == [leaf_hash(leaf).hex() for leaf in log.leaves()]
        assert [line["index"] for line in mine] == list(range(log.size))
        for line, leaf in zip(mine, log.leaves(), strict=True):
            plain = json.loads(leaf)
            assert line["fact"] == plain["fact"] and line["at"] == plain["at"] and line["entry"] == plain["entry"]
            assert line["append"] == plain["by"] and line["position"] == plain["position"]
            assert line["type"] == plain["fact"]["type"] and line["id"] == plain[line["about"]]
    assert {line["about"] for line in found} == {"call", "grant", "gateway"}


def test_facts_of_the_calls_that_fit(ledger):
    found = lines(ledger, "--outcome", "denied", "--person", "bob")
    assert [line["type"] for line in found] == [type(fact).__name__ for fact in LIVES["rejected"]]
    assert {line["id"] for line in found} == {id_of("rejected")}
    assert len({line["id"] for line in lines(ledger, "--limit", "2")}) == 2
    assert lines(ledger, "--agent", "nobody") == []


def test_a_spreadsheet_has_one_line_for_each_call(ledger):
    rows = list(csv.DictReader(io.StringIO(exported(ledger, "--format", "csv"))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["id"] for row in rows] == [id_of(name) for name in reversed(list(LIVES))]
    by_id = {row["id"]: row for row in rows}
    for name, life in LIVES.items():
        row = by_id[id_of(name)]
        assert row["outcome"] == FINDS.get(name, name) and row["facts"] == str(len(life))
    row = by_id[id_of("edited")]
    assert (row["fingerprint"], row["sent_fingerprint"], row["sends"]) == (PRINT, EDITED, "1")
    assert (row["status"], row["answer_bytes"], row["answer_sha256"]) == ("200", "512", "c" * 64)
    assert (row["people"], row["policies"]) == ("ann", "over-50; ops-may")
    log = LogFiles.open(ledger, row["partition"])
    index = int(row["first_leaf"])
    assert leaf_hash(next(log.leaves(index, index + 1))).hex() == row["first_leaf_hash"]
    assert by_id[id_of("approved")]["reason"] == "the customer asked"
    only = list(csv.DictReader(io.StringIO(exported(ledger, "--format", "csv", "--run", "run-7"))))
    assert [row["id"] for row in only] == [id_of("approved")]


@pytest.mark.parametrize("beginning", list("=+-@\t\r\n|%\uff1d\uff0b\uff0d\uff20"))
def test_a_spreadsheet_runs_nothing(tmp_path, beginning):
    evil = f'{beginning}HYPERLINK("http://evil","x")\x1b[0m'
    first = call(1, reason=evil, run=evil, resource=evil, user=evil)
    write_log(tmp_path, first.call.id[:2], leaves_of_life(first, ALLOW, CLAIM, ANSWER))
    text = exported(tmp_path, "--format", "csv")
    [row] = csv.DictReader(io.StringIO(text))
    for name in ("reason", "run", "resource", "user"):
        assert row[name].startswith("'") and "HYPERLINK" in row[name]
    assert "\x1b" not in text
    assert all(not cell.startswith(tuple("=+-@")) for cell in row.values())


def test_what_is_no_formula_stays_as_it_is():
    for cell in ("", "ann", "2026-11-20", "Charge/ch_1", "a=b", "'quoted"):
        assert safe(cell) == cell


@pytest.mark.parametrize("version", [VERSION, "1.8.0"])
def test_every_event_is_what_ocsf_says(ledger, version):
    """Against the framework's own schema, and closed: no attribute that it does not know. 1.8.0 takes them too."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    wanted = schema.get_class_schema(class_name="api_activity", profiles=["security_control", "trace"])
    validator = jsonschema_rs.validator_for(wanted)
    events = lines(ledger, "--format", "ocsf")
    assert len(events) == len(LIVES)
    for event in events:
        if version != VERSION:
            event["metadata"]["version"] = version
        assert [
            f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in validator.iter_errors(event)
        ] == []
    broken = json.loads(json.dumps(events[0]))
    del broken["api"]
    broken["nonsense"] = 1
    assert len(list(validator.iter_errors(broken))) >= 2, "the schema refuses what is wrong"


def event_of(ledger, name):
    [event] = [each for each in lines(ledger, "--format", "ocsf") if each["metadata"]["uid"] == id_of(name)]
    return event


@pytest.mark.parametrize(
    ("name", "status", "action", "disposition", "activity"),
    [
        ("answered", 1, 1, 1, 1),
        ("approved", 1, 1, 8, 1),
        ("denied", 2, 2, 2, 1),
        ("rejected", 2, 2, 25, 1),
        ("expired", 2, 2, 2, 1),
        ("unreachable", 2, 1, 1, 1),
        ("in doubt", 99, 1, 1, 1),
        ("settled", 1, 1, 1, 1),
        ("held", 99, 99, 99, 1),
        ("read", 2, 1, 1, 2),
    ],
)
def test_what_an_event_says(ledger, name, status, action, disposition, activity):
    event = event_of(ledger, name)
    assert (event["status_id"], event["action_id"], event["disposition_id"]) == (status, action, disposition)
    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (6003, activity, 600300 + activity)
    assert event["severity_id"] == (3 if name == "in doubt" else 1)


def test_an_event_names_everybody_and_leads_to_the_leaves(ledger):
    event = event_of(ledger, "approved")
    assert event["actor"] == {"app_name": "billing-bot", "app_uid": "billing-bot", "user": {"name": "eve@acme.example"}}
    assert event["api"]["operation"] == "stripe.create_refund" and event["api"]["response"]["code"] == 200
    assert event["metadata"]["correlation_uid"] == "run-7" and event["metadata"]["version"] == VERSION
    assert event["authorizations"][0] == {"decision": "hold", "policy": {"name": "over-50", "version": G1}}
    assert event["resources"] == [{"uid": "Charge/ch_1", "type": "Charge"}]
    ours = event["unmapped"]["gateway"]
    assert [(each["decision"], each["by"], each["group"]) for each in ours["people"]] == [
        ("Approved", "ann", "finance")
    ]
    log = LogFiles.open(ledger, id_of("approved")[:2])
    for place in ours["leaves"]:
        assert leaf_hash(next(log.leaves(place["index"], place["index"] + 1))).hex() == place["leaf_hash"]


def test_an_odd_method_is_said_to_be_other(tmp_path):
    first = call(1, method="PURGE", source_ip="192.0.2.7")
    write_log(tmp_path, first.call.id[:2], leaves_of_life(first, ALLOW, CLAIM, ANSWER))
    [event] = lines(tmp_path, "--format", "ocsf")
    assert (event["activity_id"], event["activity_name"], event["type_uid"]) == (99, "PURGE", 600399)
    assert event["src_endpoint"] == {"ip": "192.0.2.7"}


def test_what_this_version_cannot_read(tmp_path):
    """Its leaf is written all the same; an event would have to be guessed, so it is left out and said."""
    first, fine = call(1), call(2)
    leaves = leaves_of_life(first, HOLD, ASKED)
    leaves[2] = leaves[2].replace(b'"Asked"', b'"Mused"')
    write_log(tmp_path, first.call.id[:2], [*leaves, *leaves_of_life(fine, HOLD), b"not a leaf"])
    found = lines(tmp_path)
    assert (
        found[2]["type"] == "Mused" and found[-1]["unreadable"] and bytes.fromhex(found[-1]["bytes"]) == b"not a leaf"
    )
    assert [line["leaf_hash"] for line in found] == [
        leaf_hash(leaf).hex() for leaf in LogFiles.open(tmp_path, first.call.id[:2]).leaves()
    ]
    done = typed("export", "--ledger", tmp_path, "--format", "ocsf")
    assert [json.loads(line)["metadata"]["uid"] for line in done.stdout.splitlines()] == [fine.call.id]
    assert f"Call {first.call.id} is left out" in done.stderr
    rows = list(csv.DictReader(io.StringIO(exported(tmp_path, "--format", "csv"))))
    assert {row["id"]: row["outcome"] for row in rows} == {first.call.id: "unreadable", fine.call.id: "held"}


def test_more_calls_than_are_looked_for_at_once(ledger, monkeypatch):
    from gateway.audit import exporting

    monkeypatch.setattr(exporting, "PAGE", 4)
    index = Index.open(ledger)
    assert [gist.id for gist in exporting.calls(index, Filters(), 0)] == [id_of(name) for name in reversed(list(LIVES))]
    assert len(list(exporting.calls(index, Filters(), 6))) == 6
