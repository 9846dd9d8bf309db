"""Traces of a real gateway in a receiver that nobody here wrote: arize-phoenix, read back through its own API.

It is installed into a virtual environment of its own (`make build/phoenix-venv`), since it brings what we do not need.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.adapters.embedded import embedded_url
from gateway.adapters.redis.journal import RedisJournal
from gateway.core import attributes as names
from gateway.core.leaf import read_leaf
from gateway.core.segments import traces_of
from gateway.core.spans import SpanValue
from gateway.ledger.files import LogFiles
from gateway.ledger.merkle import leaf_hash
from tests.gateway_process import eventually
from tests.gateway_world import HELD, world
from tests.processes import free_port
from tests.scripted_upstream import answer, fresh, resets
from tests.spans_of_journal import spans_of_journal

PHOENIX = Path(__file__).parent.parent / "build" / "phoenix-venv" / "bin" / "phoenix"
PATIENCE = 120.0
"""Seconds for Phoenix to start on a busy machine; it takes ten on a quiet one."""
pytestmark = pytest.mark.skipif(
    not PHOENIX.exists(), reason="phoenix is not tried: run `make build/phoenix-venv` first"
)


class Phoenix:
    """The process, its database in a directory, and its API."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (home / "log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PHOENIX_"))}
        told = {
            "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(self.port), "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_WORKING_DIR": str(self.home), "PHOENIX_TELEMETRY_ENABLED": "false",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [PHOENIX, "serve"], env=kept | told, cwd=self.home, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                assert self.process is not None and self.process.poll() is None, (self.home / "log").read_text()[-3000:]
                time.sleep(0.2)
        raise AssertionError((self.home / "log").read_text()[-3000:])

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def spans(self) -> list[dict[str, Any]]:
        """Everything it has, as OTLP."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
            page = httpx.get(f"{self.url}/v1/projects/default/spans/otlpv1", params=query, timeout=30)
            if page.status_code == 404:
                return []  # it makes the project with the first span
            told = page.raise_for_status().json()
            found += told["data"]
            cursor = told.get("next_cursor")
            if not cursor:
                return found


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory):
    made = Phoenix(tmp_path_factory.mktemp("phoenix"))
    made.start()
    try:
        yield made
    finally:
        made.kill()
        made.log.close()


@pytest.fixture(scope="module")
def scene(phoenix):
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
    }  # fmt: skip
    with world(settings=settings) as made:
        yield made


def expected(scene) -> list[SpanValue]:
    return spans_of_journal(embedded_url(scene.gateway.data), scene.gateway.folder / "routes.yaml", scene.secrets)


def plain(value):
    """An attribute's value, out of OTLP's JSON."""
    [(kind, found)] = [(kind, it) for kind, it in value.items() if it is not None]
    if kind == "array_value":
        return tuple(plain(item) for item in found["values"])
    return found


def some_calls(scene) -> list[str]:
    """One that is answered, one that fails there, one in doubt, and one that a person releases."""
    broken, lost, held = fresh("pay"), fresh("pay"), fresh("pay")
    scene.upstream.will(broken, answer(500))
    scene.upstream.will(lost, resets())
    answers = [scene.pay(to) for to in (fresh("pay"), broken, lost)]
    call = scene.hold(held, HELD)
    scene.approvers.approve(call)
    eventually(lambda: scene.state(call) == "answered")
    return [*(answer.headers["gateway-call"] for answer in answers), call]


def test_every_span_is_there_once_with_all_that_it_says_also_over_a_kill_of_the_receiver(scene, phoenix):
    calls = some_calls(scene)
    assert eventually(lambda: "traces wait" in scene.gateway.log), "nobody listens yet"
    phoenix.wait()
    eventually(lambda: arrived(scene, phoenix), seconds=PATIENCE)
    phoenix.kill()
    calls += some_calls(scene)
    phoenix.start()
    phoenix.wait()
    eventually(lambda: arrived(scene, phoenix), seconds=PATIENCE)

    told, there = expected(scene), {span["span_id"]: span for span in phoenix.spans()}
    assert {span.attributes[names.CALL_ID] for span in told} == set(calls)
    for span in told:
        found = there[span.span_id]
        assert (found["trace_id"], found["name"]) == (span.trace_id, span.name)
        assert (found["parent_span_id"] or "") == span.parent
        assert (found["status"]["code"] == 2) is (span.status == "error")
        # It keeps times with less than nanoseconds.
        assert round(found["start_time_unix_nano"] / 1e6) == span.start_ms
        assert round(found["end_time_unix_nano"] / 1e6) == span.end_ms
        attributes = {pair["key"]: plain(pair["value"]) for pair in found["attributes"]}
        assert attributes.items() >= dict(span.attributes).items(), "beside these it has its own"
        if span.name.startswith("execute_tool"):
            assert attributes["openinference.span.kind"] == "TOOL", "it knows the conventions of GenAI"


def test_the_facts_lead_to_its_traces_and_its_spans_to_the_log(scene, phoenix):
    """Either leads to the other: from a call to what the receiver shows, and from a span to the leaf in the log."""
    (call,) = [scene.pay(fresh("pay"), traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01").headers["gateway-call"]]
    eventually(lambda: arrived(scene, phoenix), seconds=PATIENCE)
    mine = [it for it in phoenix.spans() if {"key": names.CALL_ID, "value": call} in [
        {"key": pair["key"], "value": plain(pair["value"])} for pair in it["attributes"]]]  # fmt: skip
    traces = traces_of(facts_of(scene, call))
    assert traces[0].trace_id == "ab" * 16 and {it["trace_id"] for it in mine} == {it.trace_id for it in traces}
    assert {it.span_id for it in traces} <= {it["span_id"] for it in mine}
    for it in mine:
        attributes = {pair["key"]: plain(pair["value"]) for pair in it["attributes"]}
        log = LogFiles.open(scene.gateway.data / "ledger", f"{attributes[names.LEDGER_PARTITION]:02d}")
        index = attributes[names.LEDGER_INDEX]
        (leaf,) = log.leaves(index, index + 1)
        assert leaf_hash(leaf).hex() == attributes[names.LEDGER_LEAF]
        assert read_leaf(leaf).name == call and read_leaf(leaf).position == attributes[names.LEDGER_POSITION]


def arrived(scene, phoenix) -> bool:
    wanted, there = expected(scene), [span["span_id"] for span in phoenix.spans()]
    assert len(there) == len(set(there)), "each once, by its id"
    return set(there) == {span.span_id for span in wanted} != set()


def facts_of(scene, call):
    async def read():
        journal = RedisJournal.open(embedded_url(scene.gateway.data))
        try:
            return await journal.facts(call)
        finally:
            await journal.close()

    return asyncio.run(read())
