"""Requests that are refused before a call exists leave one line, without anything that the requester wrote."""

import json
import os
import re
from collections.abc import Mapping

import pytest

from gateway.config.routes_file import load_routes
from gateway.doors.refusals import AT_ONCE, Refusals
from gateway.errors import OutcomeUnknown, UnsupportedEncoding
from gateway.wire.index import Index
from tests.gateway_process import bearer, eventually, key_of
from tests.gateway_world import world

MOMENT = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SCOPE = {
    "type": "http", "path": "/x/y", "raw_path": b"/x/y", "query_string": b"", "method": "GET", "http_version": "1.1",
    "scheme": "http", "headers": [(b"host", b"gateway")],
}  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


def lines(scene):
    rows = [row for row in scene.gateway.log.splitlines() if row.startswith('{"at"')]
    return [line for row in rows if "refused" in (line := json.loads(row))]


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "kind", "agent", "system"),
    [
        ("PATCH", "/bank/secretpath", b"", "bot", "unknown-tool", "bot", "bank"),
        ("POST", "/bank/payments", b'{"to": "secretname", "amount": "x"}', "bot", "invalid-arguments", "bot", "bank"),
        ("POST", "/bank/payments", b'{"to": "secretname", "to": 1}', "bot", "ambiguous-request", "bot", "bank"),
        ("GET", "/bank/items/secretitem", b"", "stranger", "gateway-credential", None, "bank"),
        ("GET", "/secretsystem/items", b"", "bot", "unknown-tool", "bot", None),
    ],
)
def test_a_refused_request_leaves_one_line(scene, method, path, body, key, kind, agent, system):
    before = len(lines(scene))
    headers = bearer(key_of(key)) | {"content-type": "application/json"}
    answer = scene.agent().request(method, path, content=body, headers=headers)
    (line,) = eventually(lambda: lines(scene)[before:])
    assert re.fullmatch(MOMENT, line.pop("at"))
    expected = {"refused": kind, "status": answer.status_code, "agent": agent, "system": system, "method": method}
    assert line == expected
    assert "secret" not in json.dumps(lines(scene)) and key_of(key) not in scene.gateway.log


def test_what_has_a_call_is_told_with_the_call(scene):
    before = len(lines(scene))
    scene.pay("eve", 500_000)
    rows = eventually(lambda: [row for row in scene.gateway.log.splitlines() if '"verdict":"deny"' in row])
    assert all(re.fullmatch(MOMENT, json.loads(row)["at"]) for row in rows)
    assert lines(scene)[before:] == []


def test_who_knocks_all_night_cannot_fill_a_disk(scene):
    told: list[Mapping[str, object]] = []
    moment, index = [100.0], _index(scene)
    refusals = Refusals(told.append, clock=lambda: moment[0])
    for _ in range(AT_ONCE + 40):
        refusals.tell(UnsupportedEncoding("x"), SCOPE, index, 1)
    assert len(told) == AT_ONCE and not any("left_out" in line for line in told)
    moment[0] += 1.0
    for _ in range(2):
        refusals.tell(UnsupportedEncoding("x"), SCOPE, index, 1)
    assert len(told) == AT_ONCE + 1 and told[-1].get("left_out") == 40
    refusals.tell(OutcomeUnknown("07" + "a" * 22, "bank"), SCOPE, index, 1)
    moment[0] += 1.0
    refusals.tell(UnsupportedEncoding("x"), SCOPE, index, 1)
    assert told[-1].get("left_out") == 1


def _index(scene):
    loaded, _ = load_routes(scene.gateway.folder / "routes.yaml", os.environ | scene.secrets)
    assert loaded is not None
    return Index.of(loaded)
