"""Redis dies, hangs, fills up, turns read-only, forgets: through a real gateway, from outside.

In every case the same must hold: nothing is sent that could not be recorded, nothing recorded is lost, the agent is
told 503 and not something else, and service returns by itself as soon as Redis does, unless Redis came back with
less than it had acknowledged: then a person has to say that this is known.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway_process import (
    PAYLOAD_KEY,
    ROOT,
    bearer,
    command,
    environment,
    eventually,
    key_of,
    write_configuration,
)
from tests.gateway_world import POLICIES, SECRET, World, document, slug, world
from tests.processes import PATIENCE_SECONDS, free_port
from tests.scripted_upstream import after, answer, fresh

LONG = "TORTURE_SECONDS" in os.environ
"""Also what only repeats a point, for somebody who has the time."""


@contextmanager
def on(server: Any, *, workers: int = 1, url: str = "", **settings: str) -> Iterator[World]:
    """A world whose journal is in that server."""
    shared = {"GATEWAY_REDIS_URL": url or server.url, "GATEWAY_PAYLOAD_KEYS": PAYLOAD_KEY}
    with world(workers=workers, settings={**shared, **settings}) as scene:
        yield scene


def pay_on_a_new_connection(scene: World, to: str, key: str) -> httpx.Response:
    """So that any of the workers may get it."""
    return httpx.post(
        f"{scene.gateway.agents}/bank/payments", json={"to": to, "amount": 10}, trust_env=False,
        headers={**bearer(key_of("bot")), "idempotency-key": key, "connection": "close"}, timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def assert_refused(scene: World, *, sentence: str = "") -> None:
    """An effect is not sent, the agent hears 503, and readiness says why."""
    marker = fresh("refused")
    refused = scene.pay(marker, key=marker)
    assert (refused.status_code, slug(refused)) == (503, "journal-unavailable"), refused.text
    assert refused.json()["retryable"] is True
    assert not scene.upstream.seen(marker)
    # The steward, which answers it, hears within a second of what a worker found.
    eventually(lambda: (told := scene.gateway.readyz()).status_code == 503 and sentence in told.text, f"not {sentence}")


def assert_serves_again(scene: World) -> None:
    marker = fresh("again")
    eventually(lambda: scene.pay(marker, key=marker).status_code == 200, "service did not return")
    assert len(scene.upstream.effects(marker)) == 1
    eventually(lambda: scene.gateway.readyz().status_code == 200, "it is never ready again")


# --- It dies --------------------------------------------------------------------------------------------------------


def test_valkey_killed_in_the_middle_of_appends_loses_nothing_that_was_acknowledged() -> None:
    """Whatever was answered before, between and after three kills is in the journal; no key acted twice."""
    with world(workers=2) as scene, ThreadPoolExecutor(12) as pool:
        stop = threading.Event()
        told: dict[str, httpx.Response] = {}

        def agent(number: int) -> None:
            count = 0
            while not stop.is_set():
                count += 1
                marker = fresh(f"kill{number}x")
                found = pay_on_a_new_connection(scene, marker, marker)
                while found.status_code in (503, 409):
                    time.sleep(0.1)
                    found = pay_on_a_new_connection(scene, marker, marker)
                told[marker] = found

        agents = [pool.submit(agent, number) for number in range(12)]
        for _ in range(3 if LONG else 2):
            grown(told, 25)
            scene.gateway.kill("valkey")
        grown(told, 25)
        stop.set()
        for found in agents:
            found.result()
        good = {marker: reply for marker, reply in told.items() if reply.status_code == 200}
        assert len(good) > 50, {reply.status_code for reply in told.values()}
        for marker, reply in told.items():
            assert reply.status_code == 200 or slug(reply) in ("upstream-unreachable", "outcome-unknown"), reply.text
            assert len(scene.upstream.effects(marker)) <= 1, marker
        for marker, reply in good.items():
            assert scene.state(reply.headers["gateway-call"]) == "answered", marker
            assert len(scene.upstream.effects(marker)) == 1, marker


def grown(told: Sized, by: int) -> None:
    """Wait until so many more were told something."""
    wanted = len(told) + by
    eventually(lambda: len(told) >= wanted, "nobody is told anything any more")


def test_the_outcome_of_an_effect_waits_until_redis_is_back(own_valkey: Any) -> None:
    """Redis dies while the system works, and stays away longer than anybody is patient: the outcome is not lost."""
    with on(own_valkey) as scene, ThreadPoolExecutor(1) as pool:
        marker, go = fresh("away"), threading.Event()
        scene.upstream.will(marker, after(go, answer(200, {"id": marker})))
        first: Future[httpx.Response] = pool.submit(scene.pay, marker, key=marker)
        eventually(lambda: scene.upstream.seen(marker))
        own_valkey.kill()
        go.set()
        told = first.result()
        assert (told.status_code, slug(told)) == (502, "outcome-unknown"), told.text
        assert told.json()["retryable"] is False
        own_valkey.start()
        again = eventually(lambda: (found := scene.pay(marker, key=marker)).status_code == 200 and found)
        assert again.json() == {"id": marker}
        assert again.headers["idempotent-replayed"] == "true"
        assert len(scene.upstream.effects(marker)) == 1
        facts = scene.timeline(again.headers["gateway-call"])
        assert facts.count("Answered") == 1, facts


def test_a_redis_that_hangs_is_treated_as_gone(own_valkey: Any) -> None:
    with on(own_valkey) as scene:
        assert_serves_again(scene)
        os.kill(own_valkey.process.pid, signal.SIGSTOP)
        try:
            assert_refused(scene)
        finally:
            os.kill(own_valkey.process.pid, signal.SIGCONT)
        assert_serves_again(scene)


# --- It refuses to write --------------------------------------------------------------------------------------------


def test_a_server_that_became_a_replica_stops_effects_until_it_is_a_primary_again(own_valkey: Any) -> None:
    with on(own_valkey) as scene:
        assert_serves_again(scene)
        own_valkey.command("REPLICAOF", "127.0.0.1", free_port())
        assert_refused(scene, sentence="replica")
        own_valkey.command("REPLICAOF", "NO", "ONE")
        assert_serves_again(scene)


def test_a_full_server_stops_effects_until_there_is_room(own_valkey: Any) -> None:
    with on(own_valkey) as scene:
        kept = fresh("kept")
        assert scene.pay(kept, key=kept).status_code == 200
        own_valkey.command("CONFIG", "SET", "maxmemory", "1")
        assert_refused(scene, sentence="give it more memory")
        own_valkey.command("CONFIG", "SET", "maxmemory", "0")
        assert_serves_again(scene)
        assert scene.pay(kept, key=kept).headers["idempotent-replayed"] == "true"
        assert len(scene.upstream.effects(kept)) == 1


def test_a_server_that_fills_up_while_the_system_works_gets_the_outcome_later(own_valkey: Any) -> None:
    with on(own_valkey) as scene, ThreadPoolExecutor(1) as pool:
        marker, go = fresh("full"), threading.Event()
        scene.upstream.will(marker, after(go, answer(200, {"id": marker})))
        first: Future[httpx.Response] = pool.submit(scene.pay, marker, key=marker)
        eventually(lambda: scene.upstream.seen(marker))
        own_valkey.command("CONFIG", "SET", "maxmemory", "1")
        go.set()
        assert slug(first.result()) == "outcome-unknown"
        own_valkey.command("CONFIG", "SET", "maxmemory", "0")
        again = eventually(lambda: (found := scene.pay(marker, key=marker)).status_code == 200 and found)
        assert again.json() == {"id": marker}
        assert len(scene.upstream.effects(marker)) == 1


# --- It forgets -----------------------------------------------------------------------------------------------------


def restore(server: Any, copy: Path) -> None:
    server.kill()
    server.restore_data(copy)
    server.start()


def acknowledge(scene: World) -> None:
    """Only an operator may; an auditor only reads."""
    path = "/journal/acknowledge-loss"
    assert scene.person("auditor").post(path).status_code == 403
    said = scene.person("operator").post(path)
    assert said.status_code == 200, said.text


def test_a_redis_restored_from_an_older_state_stops_effects_until_an_operator_knows(
    own_valkey: Any, tmp_path: Path
) -> None:
    """The key of an effect that the restored state does not know must not act again before somebody said so."""
    with on(own_valkey, workers=2) as scene:
        assert_serves_again(scene)
        own_valkey.copy_data(tmp_path / "old")
        markers = [fresh("forgotten") for _ in range(24)]
        for marker in markers:
            assert pay_on_a_new_connection(scene, marker, marker).status_code == 200
        restore(own_valkey, tmp_path / "old")
        for marker in markers * 2:
            refused = pay_on_a_new_connection(scene, marker, marker)
            assert (refused.status_code, slug(refused)) == (503, "journal-unavailable"), refused.text
        assert all(len(scene.upstream.effects(marker)) == 1 for marker in markers)
        assert_refused(scene, sentence="was restored from an older state")
        assert "acknowledge-loss" in scene.gateway.readyz().text
        acknowledge(scene)
        assert_serves_again(scene)
        for _ in range(12):  # every worker
            eventually(lambda: pay_on_a_new_connection(scene, marker := fresh("after"), marker).status_code == 200)


def noted(scene: World) -> dict[str, str]:
    """How far the ledger was when the data directory was last told, which is every second."""
    path = scene.gateway.data / "high-water.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {partition: f"{milliseconds}-{number}" for partition, (milliseconds, number) in found.items()}


def ends(server: Any) -> dict[str, str]:
    """The last entry of every partition of the ledger."""
    names = [name.decode() for name in server.command("KEYS", "{*}:ledger")]
    return {name[1:3]: server.command("XREVRANGE", name, "+", "-", "COUNT", 1)[0][0].decode() for name in names}


@pytest.mark.parametrize("left", ["an older state", "nothing at all"] if LONG else ["an older state"])
def test_a_loss_is_noticed_by_processes_that_never_saw_what_is_missing(
    own_valkey: Any, tmp_path: Path, left: str
) -> None:
    """Everything died together, and a backup was put back: the data directory remembers how far the ledger was."""
    with on(own_valkey, workers=2) as scene:
        own_valkey.copy_data(tmp_path / "old")
        if left == "an older state":
            assert_serves_again(scene)
            own_valkey.copy_data(tmp_path / "old")
        marker = fresh("forgotten")
        assert scene.pay(marker, key=marker).status_code == 200
        eventually(lambda: noted(scene) == ends(own_valkey), "nobody wrote down how far the ledger is")
        own_valkey.kill()
        scene.gateway.kill("worker")
        scene.gateway.kill("steward")
        own_valkey.restore_data(tmp_path / "old")
        own_valkey.start()
        for _ in range(12):
            refused = eventually(lambda: _answered(scene, marker), "no worker came back")
            assert (refused.status_code, slug(refused)) == (503, "journal-unavailable"), refused.text
        assert len(scene.upstream.effects(marker)) == 1
        eventually(lambda: scene.gateway.readyz().status_code == 503)
        assert "acknowledge-loss" in scene.gateway.readyz().text
        acknowledge(scene)
        assert_serves_again(scene)


def _answered(scene: World, marker: str) -> httpx.Response | None:
    try:
        return pay_on_a_new_connection(scene, marker, marker)
    except httpx.TransportError:
        return None  # the worker is being started again


# --- It is not what promise 7 needs -----------------------------------------------------------------------------------


def test_fsync_every_second_stops_effects_unless_the_loss_is_named(own_valkey: Any) -> None:
    with on(own_valkey) as scene:
        assert_serves_again(scene)
        own_valkey.command("CONFIG", "SET", "appendfsync", "everysec")
        eventually(lambda: scene.pay(fresh("now")).status_code == 503, "effects go on")
        assert_refused(scene, sentence="GATEWAY_REDIS_DURABILITY=may-lose-one-second")
        own_valkey.command("CONFIG", "SET", "appendfsync", "always")
        assert_serves_again(scene)
        own_valkey.command("CONFIG", "SET", "appendfsync", "everysec")
    with on(own_valkey, GATEWAY_REDIS_DURABILITY="may-lose-one-second") as scene:
        assert_serves_again(scene)


def start_and_wait(folder: Path, seconds: float, **settings: str) -> tuple[int | None, str]:
    """`gateway serve` with what it said; None: it was still running."""
    listen = {"agents": f"127.0.0.1:{free_port()}", "control": f"127.0.0.1:{free_port()}"}
    write_configuration(
        folder, {**document("http://127.0.0.1:1", "http://127.0.0.1:1/hook"), "listen": listen}, POLICIES
    )
    secrets = {"BANK_KEY": SECRET, "APPROVALS_SECRET": _whsec(), **{f"CALLBACK_{name}": _whsec() for name in CALLBACKS}}
    process = subprocess.Popen(
        command(folder, 1), env=environment(**secrets, **settings), cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = process.communicate(timeout=seconds)
        return process.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
        return None, said
    finally:
        process.kill()


CALLBACKS = ("FINANCE", "LEGAL", "BRIEF", "PAIR")


def _whsec() -> str:
    from gateway.demo.approver import new_secret

    return new_secret()


def test_a_redis_that_cannot_be_reached_at_the_start_is_one_sentence_and_an_exit_code() -> None:
    with tempfile.TemporaryDirectory(prefix="gwt-") as name:
        code, said = start_and_wait(Path(name), PATIENCE_SECONDS, GATEWAY_REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert code not in (None, 0), f"it never ended; it said:\n{said}"
    assert "Traceback" not in said, said
    assert "he journal cannot be reached" in said and "GATEWAY_REDIS_URL" in said, said


# --- Replicas -------------------------------------------------------------------------------------------------------


@contextmanager
def replicated(server: Any) -> Iterator[tuple[Any, Any, str]]:
    """A primary and one replica, each with a port, and the primary's URL."""
    kind = type(server)
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        ports = free_port(), free_port()
        quick = ("--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        primary = kind(Path(name) / "p", ("--port", str(ports[0]), *quick))
        replica = kind(Path(name) / "r", ("--port", str(ports[1]), *quick, "--replicaof", "127.0.0.1", str(ports[0])))
        try:
            primary.start()
            replica.start()
            wait_for_replica(primary)
            yield primary, replica, f"redis://127.0.0.1:{ports[0]}"
        finally:
            primary.kill()
            replica.kill()


def wait_for_replica(primary: Any) -> None:
    eventually(lambda: "state=online" in str(primary.command("INFO", "replication")) or online(primary), "no replica")


def online(primary: Any) -> bool:
    info = primary.command("INFO", "replication")
    return isinstance(info, dict) and any(
        "online" in str(value) for name, value in info.items() if name.startswith("slave")
    )


def test_an_unrepeatable_effect_waits_for_a_replica_and_is_not_sent_without_one(own_valkey: Any) -> None:
    with replicated(own_valkey) as (primary, replica, url), on(primary, url=url, GATEWAY_REDIS_REPLICAS="1") as scene:
        marker = fresh("both")
        assert scene.pay(marker, key=marker).status_code == 200
        replica.kill()
        assert_refused(scene, sentence="only 0 are connected")
        charge = fresh("charge")
        refund = scene.agent().post("/bank/refunds", data={"charge": charge, "amount": "10"})
        assert refund.status_code == 200, f"the system itself dedupes a refund: {refund.text}"
        assert scene.agent().get(f"/bank/items/{fresh('item')}").status_code == 200
        replica.start()
        wait_for_replica(primary)
        assert_serves_again(scene)
        kept = scene.pay(marker, key=marker)
        assert kept.headers["idempotent-replayed"] == "true"


def test_what_a_failover_forgets_is_not_acted_upon_again(own_valkey: Any) -> None:
    """The replica that becomes primary has every claim of an unrepeatable tool, so its key does not act twice."""
    with replicated(own_valkey) as (primary, replica, url), on(primary, url=url, GATEWAY_REDIS_REPLICAS="1") as scene:
        marker = fresh("claimed")
        call = scene.pay(marker, key=marker).headers["gateway-call"]
        primary.kill()
        claimed = [
            fact
            for fact in map(str, replica.command("LRANGE", f"{{{call[:2]}}}:call:{call}", 0, -1))
            if "Claimed" in fact
        ]
        assert len(claimed) == 1


# --- Cluster --------------------------------------------------------------------------------------------------------


@contextmanager
def cluster(server: Any) -> Iterator[tuple[str, Any]]:
    """A Redis Cluster of one node, which owns every slot; its URL and the node."""
    kind = type(server)
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        port = free_port()
        options = (
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            str(free_port()),
        )
        node = kind(Path(name), options).start()
        try:
            node.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually(
                lambda: (
                    "cluster_state:ok" in str(node.command("CLUSTER", "INFO"))
                    or "'cluster_state': 'ok'" in str(node.command("CLUSTER", "INFO"))
                )
            )
            yield f"redis+cluster://127.0.0.1:{port}", node
        finally:
            node.kill()


def test_a_redis_cluster_serves_reads_writes_and_holds(own_valkey: Any) -> None:
    with cluster(own_valkey) as (url, node), on(node, url=url) as scene:
        assert scene.agent().get(f"/bank/items/{fresh('item')}").status_code == 200
        marker = fresh("cluster")
        assert scene.pay(marker, key=marker).status_code == 200
        assert scene.pay(marker, key=marker).headers["idempotent-replayed"] == "true"
        held = fresh("held")
        call = scene.hold(held)
        scene.approvers.approve(call)
        assert eventually(lambda: scene.state(call) == "answered")
        assert scene.pay(held, 5000, key=fresh("new")).headers["idempotent-replayed"] == "true"
        assert len(scene.upstream.effects(held)) == len(scene.upstream.effects(marker)) == 1
        eventually(lambda: node.command("KEYS", "*:executing:*") == [])  # handed over, so nothing is left to meet
        node.command("SCRIPT", "FLUSH")
        assert_serves_again(scene)
        node.kill()
        assert_refused(scene)
        node.start()
        assert_serves_again(scene)
