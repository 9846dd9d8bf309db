"""Sealing in real processes: killed at random moments under load, and on two hosts that share a Redis."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx

from gateway.adapters.embedded import embedded_url
from gateway.adapters.redis.journal import RedisJournal
from gateway.app import STANDS_BACK
from gateway.core.leaf import short
from gateway.ledger.anchored import read_anchor
from gateway.ledger.files import LogFiles
from gateway.ledger.note import Signer
from tests.gateway_process import DIE_WITH_PARENT, END_SECONDS, PAYLOAD_KEY, ROOT, Gateway, command, eventually, serving
from tests.gateway_world import AGENTS, POLICIES, World, world
from tests.scripted_upstream import fresh
from tests.sealed_journal import all_sealed, streams, verifier_of

KILLS = int(os.environ.get("SEALING_KILLS", "8"))


def test_the_steward_stands_back_where_a_worker_wants_the_processor():
    with world() as scene:
        [steward], workers = scene.gateway.pids("steward"), scene.gateway.pids("worker")
        assert scene.pay(fresh("pay"), 10).status_code == 200
        eventually(lambda: sealed_facts(scene.gateway.data) >= 3)  # all its threads are there
        [behind] = nicenesses(steward)
        assert {behind - each for worker in workers for each in nicenesses(worker)} == {STANDS_BACK}


def nicenesses(process: int) -> set[int]:
    """Of its threads."""
    found = set()
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(ProcessLookupError):  # it just ended
            found.add(os.getpriority(os.PRIO_PROCESS, int(thread.name)))
    return found


@contextmanager
def load(scene: World) -> Iterator[list[int]]:
    """Agents that pay all the time. Yields the statuses that they got."""
    stop, told = [False], list[int]()

    def agent(name: str) -> None:
        while not stop[0]:
            with suppress(httpx.HTTPError):
                told.append(scene.pay(fresh("pay"), 10, agent=name).status_code)

    with ThreadPoolExecutor() as pool:
        working = [pool.submit(agent, name) for name in AGENTS]
        try:
            yield told
        finally:
            stop[0] = True
    for each in working:
        each.result()


def test_what_is_journalled_is_sealed_within_a_second_and_a_restart_goes_on():
    with world() as scene:
        data = scene.gateway.data
        assert scene.pay(fresh("pay"), 10).status_code == 200
        eventually(lambda: sealed_facts(data) >= 3, "half a second, on a machine that has time", seconds=20)
        assert asyncio.run(all_sealed(embedded_url(data), data / "ledger", verifier_of(data))) >= 3
        scene.gateway.restart()
        assert scene.pay(fresh("pay"), 10).status_code == 200
        assert asyncio.run(all_sealed(embedded_url(data), data / "ledger", verifier_of(data))) >= 6


def sealed_facts(data: Path) -> int:
    return sum(LogFiles.open(data / "ledger", name).size for name in logs(data))


def logs(data: Path) -> list[str]:
    return [path.parent.name for path in (data / "ledger").glob("??/checkpoint")]


def test_a_steward_that_is_killed_at_random_moments_loses_doubles_and_reorders_nothing():
    dice = random.Random(seed := random.SystemRandom().randrange(10**6))
    print(f"seed {seed}")
    with world() as scene:
        data, kills = scene.gateway.data, 0
        with load(scene) as told:
            while kills < KILLS or told.count(200) <= 50:
                time.sleep(dice.uniform(0.05, 1.2))
                for pid in scene.gateway.pids("steward"):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
        eventually(lambda: scene.gateway.pids("steward"))
        facts = asyncio.run(all_sealed(embedded_url(data), data / "ledger", verifier_of(data)))
        assert facts >= 3 * told.count(200)
        drafts = data / "ledger" / "drafts"
        eventually(lambda: list(drafts.iterdir()) == [])


def test_a_journal_restored_from_a_backup_is_sealed_behind_what_it_lost_once_that_is_acknowledged():
    with world() as scene:
        gateway = scene.gateway
        data, backup = gateway.data, gateway.folder / "backup"
        verifier = verifier_of(data)

        def sealed() -> dict[str, list[bytes]]:
            return {name: list(LogFiles.open(data / "ledger", name).leaves()) for name in logs(data)}

        assert scene.pay(fresh("pay"), 10).status_code == 200
        gateway.restart(lambda: shutil.copytree(data / "appendonlydir", backup))
        assert scene.pay(fresh("pay"), 10).status_code == 200
        asyncio.run(all_sealed(embedded_url(data), data / "ledger", verifier))
        gateway.process.terminate()
        assert gateway.process.wait(END_SECONDS) == 0
        before = sealed()
        shutil.rmtree(data / "appendonlydir")
        shutil.copytree(backup, data / "appendonlydir")
        (data / "high-water.json").unlink()  # nobody remembers but the sealed log
        begin(gateway)
        eventually(lambda: "was restored from an older state" in ready(gateway), "the loss was not seen")
        eventually(lambda: scene.pay(fresh("pay"), 10).status_code == 503, "the workers never heard of it")
        assert sealed() == before
        assert scene.person("operator").post("/journal/acknowledge-loss").status_code == 200
        eventually(lambda: not ready(gateway), "it never became ready")
        assert eventually(lambda: (told := scene.pay(fresh("pay"), 10)).status_code == 200 and told)
        wanted = eventually(lambda: grown(before, asyncio.run(journalled(data)), sealed()), "not sealed")
        assert wanted >= 3


def test_a_data_directory_restored_as_a_whole_has_no_effect_before_a_person_knows():
    """Only an anchor can tell, and agents that were waiting ask in the first second."""
    with world() as scene:
        gateway = scene.gateway
        data, backup, anchor = gateway.data, gateway.folder / "backup", gateway.folder / "anchored"
        gateway.edit_routes(lambda routes: routes.update(ledger={"anchors": [{"file": str(anchor), "every": "1s"}]}))
        assert scene.pay(fresh("pay"), 10).status_code == 200
        gateway.restart(lambda: shutil.copytree(data, backup, ignore=shutil.ignore_patterns("*.sock")))
        assert scene.pay(fresh("pay"), 10).status_code == 200
        eventually(lambda: anchored(data, anchor) == asyncio.run(sizes(data)), "not anchored", 60)
        gateway.process.terminate()
        assert gateway.process.wait(30) == 0
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        before = len(scene.upstream.requests)
        with load(scene) as told:
            begin(gateway)
            eventually(lambda: "was given a checkpoint of" in ready(gateway), "the loss was not seen", 60)
            eventually(lambda: 503 in told, "nobody asked", 60)
        assert len(scene.upstream.requests) == before and 200 not in told
        assert scene.person("operator").post("/journal/acknowledge-loss").status_code == 200
        eventually(lambda: not ready(gateway), "it never became ready", 60)
        eventually(lambda: scene.pay(fresh("pay"), 10).status_code == 200, "no effect is possible", 60)
        eventually(lambda: anchored(data, anchor) == asyncio.run(sizes(data)), "not anchored again", 60)
        gateway.restart()
        assert scene.pay(fresh("pay"), 10).status_code == 200, "it is not asked again"


def anchored(data: Path, anchor: Path) -> dict[str, int]:
    """The size of each log as the anchor has it at last."""
    if not anchor.exists():
        return {}
    return {note.partition: note.checkpoint.size for note in read_anchor(anchor, verifier_of(data))}


async def sizes(data: Path) -> dict[str, int]:
    """The size that each log should have."""
    return {name: len(leaves) for name, leaves in (await journalled(data)).items() if leaves}


def begin(gateway: Gateway) -> None:
    """Start it although it will not be ready."""
    with (gateway.folder / "log").open("ab") as log:
        gateway.process = subprocess.Popen(
            [sys.executable, "-c", DIE_WITH_PARENT, *command(gateway.folder, gateway.workers)],
            env=dict(gateway.environment), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def ready(gateway: Gateway) -> str:
    """Why it is not; empty if it is."""
    with suppress(httpx.HTTPError):
        said = gateway.readyz()
        return "" if said.status_code == 200 else said.text
    return "it does not answer"


async def journalled(data: Path) -> dict[str, list[bytes]]:
    journal = RedisJournal.open(embedded_url(data))
    try:
        return {name: [short(leaf) for leaf in leaves] for name, leaves in (await streams(journal)).items()}
    finally:
        await journal.close()


def grown(before: dict[str, list[bytes]], stream: dict[str, list[bytes]], now: dict[str, list[bytes]]) -> int:
    """How many facts were sealed behind those of before, if that is exactly what the stream has beside them."""
    new = {name: [leaf for leaf in leaves if leaf not in before.get(name, ())] for name, leaves in stream.items()}
    wanted = {name: before.get(name, []) + new.get(name, []) for name in before | stream}
    return sum(map(len, new.values())) if now == wanted else 0


# --- Two hosts --------------------------------------------------------------------------------------------------------


def sealing_hosts(*directories: Path) -> list[Path]:
    return [path for path in directories if list(path.glob("??/checkpoint"))]


def test_of_two_hosts_one_seals_and_the_other_has_the_log_only_through_a_store(valkey, tmp_path):
    valkey.flush()
    shared = tmp_path / "shared"
    shared.mkdir()
    signer, key = Signer.new("gateway.test/audit"), tmp_path / "key"
    key.write_text(signer.text())
    redis = {"GATEWAY_REDIS_URL": valkey.url, "GATEWAY_PAYLOAD_KEYS": PAYLOAD_KEY}
    ledger = {"store": {"directory": str(shared)}, "key": {"file": str(key)}}
    with (
        world(change=lambda routes: routes.update(ledger=ledger), settings=redis) as one,
        serving(one.routes, POLICIES, settings=one.secrets | redis) as gateway,
    ):
        two = replace(one, gateway=gateway, _made={})
        assert {one.pay(fresh("pay"), 10).status_code, two.pay(fresh("pay"), 10).status_code} == {200}
        ledgers, verifier = (one.gateway.data / "ledger", two.gateway.data / "ledger"), signer.verifier
        [first] = eventually(lambda: sealing_hosts(*ledgers))
        asyncio.run(all_sealed(valkey.url, first, verifier))
        host = one if first == ledgers[0] else two
        other, second = (two, ledgers[1]) if host is one else (one, ledgers[0])
        host.gateway.process.send_signal(signal.SIGSTOP)
        for pid in host.gateway.pids("steward"):
            os.kill(pid, signal.SIGSTOP)
        try:
            assert other.pay(fresh("pay"), 10).status_code == 200
            eventually(lambda: sealing_hosts(second), "the other host never took over")
            asyncio.run(all_sealed(valkey.url, second, verifier))
        finally:
            for pid in host.gateway.pids("steward"):
                os.kill(pid, signal.SIGCONT)
            host.gateway.process.send_signal(signal.SIGCONT)
        before = _snapshot(first)
        assert host.pay(fresh("pay"), 10).status_code == 200
        asyncio.run(all_sealed(valkey.url, second, verifier))
        assert _snapshot(first) == before, "who woke up writes nothing: somebody else seals now"
        copy = tmp_path / "copy"
        eventually(lambda: _snapshot(shared, shared) == _snapshot(second, second), "the store is behind")
        shutil.copytree(shared, copy)
        asyncio.run(all_sealed(valkey.url, copy, verifier))
    valkey.flush()


def _snapshot(directory: Path, below: Path = Path("/")) -> dict[Path, bytes]:
    return {path.relative_to(below): path.read_bytes() for path in directory.glob("??/checkpoint")}
