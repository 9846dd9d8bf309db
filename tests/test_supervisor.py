"""The supervisor on real processes: small stand-ins for worker and steward, a real Valkey where the story has one."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from gateway.adapters.embedded import EmbeddedValkey, answers, embedded_url
from gateway.data_directory import socket_path
from gateway.duty import CONFIGURATION_MISTAKE
from gateway.ledger.place import Place
from gateway.supervisor import Plan, Supervisor, default_workers, same_user_notice
from tests.processes import PATIENCE_SECONDS, free_port, gone, until

# A stand-in: answers every connection with its role, number and process id, and writes down the signals it gets.
STAND_IN = """
import os, signal, sys, threading, time
from gateway.duty import read_duty
duty = read_duty(os.environ)
def note(what):
    with open(duty.document["notes"], "a") as file:
        file.write(f"{what} {duty.role} {duty.number}\\n")
def term(*_):
    if "stubborn" in duty.document: note("ignores"); return
    note("ends")
    while os.path.exists(duty.document.get("busy_while_there", "")): time.sleep(0.01)
    os._exit(0)
signal.signal(signal.SIGTERM, term)
signal.signal(signal.SIGHUP, lambda *_: note("reloads"))
(listener,) = duty.sockets()
listener.setblocking(True)
duty.ready()
while True:
    connection, _ = listener.accept()
    connection.sendall(f"{duty.role} {duty.number} {os.getpid()} {duty.redis_url}".encode())
    connection.close()
"""


def plan(tmp_path, **changes):
    command = (sys.executable, "-c", STAND_IN)
    values = {
        "agents": "127.0.0.1:0", "control": "127.0.0.1:0", "workers": 2, "worker": command, "steward": command,
        "data": tmp_path / "data", "redis_url": "redis://of.the.deployment", "grace_seconds": 20.0,
        "document": {"notes": str(tmp_path / "notes")},
    }  # fmt: skip
    return Plan(**{**values, **changes})


class Said(list):
    def __call__(self, sentence, level):
        self.append(sentence)


@asynccontextmanager
async def serving(the_plan):
    """A supervisor that is ready. Afterwards it has been stopped in order."""
    said = Said()
    supervisor = Supervisor(the_plan, said)
    task = asyncio.ensure_future(supervisor.serve())
    await until(lambda: task.done() or any("is ready" in sentence for sentence in said))
    assert not task.done(), said
    try:
        yield supervisor
    finally:
        supervisor.stop()
        assert await asyncio.wait_for(task, PATIENCE_SECONDS) == 0


async def ask(address):
    """Who answers there: role, number, pid, Redis URL."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = (await reader.read()).decode().split()
    writer.close()
    return answer


async def ended(*pids):
    await until(lambda: all(map(gone, pids)))


def notes(tmp_path):
    path = tmp_path / "notes"
    return path.read_text().splitlines() if path.exists() else []


def refuses(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_workers_serve_agents_and_the_steward_alone_serves_the_control_plane(tmp_path):
    async def main():
        async with serving(plan(tmp_path)) as supervisor:
            agents, control = supervisor.addresses
            assert {(await ask(agents))[0] for _ in range(8)} == {"worker"}
            assert {(await ask(control))[0] for _ in range(8)} == {"steward"}
            assert (await ask(agents))[3] == "redis://of.the.deployment"
            (ready,) = supervisor._say
            assert f"agents at http://{agents}, control plane at http://{control}, 2 workers" in ready
        assert refuses(agents)
        assert refuses(control)
        assert sorted(notes(tmp_path)) == ["ends steward 0", "ends worker 0", "ends worker 1"]

    asyncio.run(main())


@pytest.mark.parametrize(("which", "position"), [("agents", 0), ("control", 1)])
def test_a_killed_child_is_started_again_and_its_port_never_refuses(tmp_path, which, position):
    async def main():
        async with serving(plan(tmp_path, workers=1)) as supervisor:
            address = supervisor.addresses[position]
            for _ in range(3):
                first = int((await ask(address))[2])
                os.kill(first, signal.SIGKILL)
                await ended(first)  # or it could still have taken the connection with it
                assert int((await ask(address))[2]) != first  # it waits in the queue instead of being refused

    asyncio.run(main())


def test_while_one_worker_is_dead_the_others_take_all_connections(tmp_path, monkeypatch):
    async def main():
        async with serving(plan(tmp_path)) as supervisor:
            monkeypatch.setattr("gateway.children.pause_after", lambda _: 600.0)
            victim = next(child for child in supervisor._children if child.name == "worker 0")
            victim.signal(signal.SIGKILL)
            await until(lambda: victim.pid is None)
            assert {(await ask(supervisor.addresses[0]))[1] for _ in range(20)} == {"1"}

    asyncio.run(main())


def test_sighup_reaches_workers_and_steward(tmp_path):
    async def main():
        async with serving(plan(tmp_path)):
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: len(notes(tmp_path)) == 3)
            assert sorted(notes(tmp_path)) == ["reloads steward 0", "reloads worker 0", "reloads worker 1"]

    asyncio.run(main())


def test_sigterm_ends_the_children_in_order_and_valkey_last(tmp_path):
    """A child that takes its time to end still finds the journal."""

    async def main():
        said, busy = Said(), tmp_path / "busy"
        busy.touch()
        document = {"notes": str(tmp_path / "notes"), "busy_while_there": str(busy)}
        supervisor = Supervisor(plan(tmp_path, redis_url="", document=document), said)
        task = asyncio.ensure_future(supervisor.serve())
        await until(lambda: any("is ready" in sentence for sentence in said))
        valkey = supervisor._valkey
        assert valkey is not None
        pids = [child.pid for child in supervisor._children]
        assert (await ask(supervisor.addresses[0]))[3] == embedded_url(tmp_path / "data")
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(notes(tmp_path)) == 3)
        assert await answers(valkey.socket)  # somebody may still have something to record
        busy.unlink()
        while True:
            answered = await answers(valkey.socket)
            if all(map(gone, pids)):
                break
            assert answered
        assert await asyncio.wait_for(task, PATIENCE_SECONDS) == 0
        assert not await answers(valkey.socket)
        assert valkey.pid is None

    asyncio.run(main())


def test_a_child_that_does_not_end_is_killed_after_the_grace(tmp_path, caplog):
    async def main():
        document = {"notes": str(tmp_path / "notes"), "stubborn": True}
        async with serving(plan(tmp_path, workers=1, grace_seconds=0.2, document=document)) as supervisor:
            pids = [child.pid for child in supervisor._children]
        assert all(map(gone, pids))

    asyncio.run(main())
    assert "worker 0 did not stop within 0.2 seconds and is killed" in caplog.text


def test_asked_twice_it_does_not_wait_for_the_grace(tmp_path):
    async def main():
        document = {"notes": str(tmp_path / "notes"), "stubborn": True}
        async with serving(plan(tmp_path, workers=1, grace_seconds=600.0, document=document)) as supervisor:
            supervisor.stop()
            await until(lambda: len(notes(tmp_path)) == 2)

    asyncio.run(main())


def test_a_port_in_use_is_one_sentence_before_anything_is_started(tmp_path):
    said = Said()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert Supervisor(plan(tmp_path, control=address, redis_url=""), said).run() == 1
    (sentence,) = said
    assert sentence.startswith(f"The address {address!r} is in use by another process")
    assert not (tmp_path / "data").exists()


def test_a_data_directory_in_use_is_one_sentence(tmp_path):
    async def main():
        async with serving(plan(tmp_path, redis_url="")):
            said = Said()
            assert await asyncio.ensure_future(Supervisor(plan(tmp_path, redis_url=""), said).serve()) == 1
            (sentence,) = said
            assert "Another gateway (process" in sentence

    asyncio.run(main())


@pytest.mark.parametrize("role", ["worker", "steward"])
def test_a_child_that_refuses_its_configuration_ends_the_start(tmp_path, role):
    said = Said()
    refusing = (sys.executable, "-c", f"import sys; sys.exit({CONFIGURATION_MISTAKE})")

    async def main():
        supervisor = Supervisor(plan(tmp_path, redis_url="", **{role: refusing}), said)
        return await asyncio.wait_for(supervisor.serve(), PATIENCE_SECONDS)

    assert asyncio.run(main()) == 1
    assert "The gateway cannot start: " in said[-1]
    assert f"{role}" in said[-1]
    assert f"exit code {CONFIGURATION_MISTAKE}" in said[-1]
    assert not asyncio.run(answers(socket_path(tmp_path / "data")))


def test_any_other_death_during_the_start_is_only_a_reason_to_try_again(tmp_path):
    once = (
        f"import os, sys\ntry: os.mkdir({str(tmp_path / 'tried')!r})\nexcept FileExistsError: pass\nelse: sys.exit(1)\n"
    )

    async def main():
        async with serving(plan(tmp_path, workers=1, worker=(sys.executable, "-c", once + STAND_IN))) as supervisor:
            assert (await ask(supervisor.addresses[0]))[0] == "worker"

    asyncio.run(main())


def test_it_can_be_stopped_while_it_starts(tmp_path):
    async def main():
        silent = (sys.executable, "-c", "import time; time.sleep(600)")
        said = Said()
        supervisor = Supervisor(plan(tmp_path, worker=silent), said)
        task = asyncio.ensure_future(supervisor.serve())
        await until(lambda: all(child.pid for child in supervisor._children) and supervisor._children)
        supervisor.stop()
        assert await asyncio.wait_for(task, PATIENCE_SECONDS) == 0
        assert not any("is ready" in sentence for sentence in said)

    asyncio.run(main())


RUNNER = textwrap.dedent("""
    import json, sys
    from pathlib import Path
    from gateway.supervisor import Plan, Supervisor
    values = json.loads(sys.argv[1])
    values.update(data=Path(values["data"]), worker=tuple(values["worker"]), steward=tuple(values["steward"]))
    supervisor = Supervisor(Plan(**values), lambda sentence, level: print(json.dumps([sentence, [
        *(child.pid for child in supervisor._children), supervisor._valkey.pid]]), flush=True))
    sys.exit(supervisor.run())
""")


@contextmanager
def run(tmp_path, **changes):
    """A supervisor in a process of its own."""
    the_plan = plan(tmp_path, redis_url="", **changes)
    values = {name: getattr(the_plan, name) for name in Plan.__dataclass_fields__}
    values["data"] = str(the_plan.data)
    command = [sys.executable, "-c", RUNNER, json.dumps(values)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until_ready(process):
    while "is ready" not in (line := process.stdout.readline()):
        assert line, "it ended before it was ready"
    return json.loads(line)[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere children watch their line")
def test_a_supervisor_that_is_killed_takes_everything_with_it_and_can_be_started_again_at_once(tmp_path):
    agents = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        with run(tmp_path, agents=agents) as process:
            pids = until_ready(process)
            assert not any(map(gone, pids))
            process.kill()
        asyncio.run(ended(*pids))
    with run(tmp_path, agents=agents) as process:
        until_ready(process)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def test_ctrl_c_reaches_the_children_only_through_the_supervisor(tmp_path):
    """A terminal sends SIGINT to its whole foreground group; Valkey would end first if it were in there."""
    with run(tmp_path) as process:
        pids = until_ready(process)
        assert {os.getpgid(pid) for pid in pids}.isdisjoint({os.getpgid(process.pid)})
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert all(map(gone, pids))


def test_a_terminal_that_is_closed_ends_the_gateway_instead_of_reloading_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    with sys.stdin:
        supervisor = Supervisor(plan(tmp_path), Said())
        supervisor.reload()
        assert not supervisor._asked_to_stop.is_set()
        supervisor._terminal = True  # as it was when it started; by now the terminal has hung up
        supervisor.reload()
        assert supervisor._asked_to_stop.is_set()


def test_the_warning_about_agents_of_the_same_user_is_given_where_agents_could_be(tmp_path):
    path = tmp_path / "valkey.sock"
    assert "Every process of user 1000" in same_user_notice(1000, 4711, path)
    assert "Every process of user 0" in same_user_notice(0, 4711, path)
    assert same_user_notice(1000, 1, path) == ""
    assert same_user_notice(999, 4711, path) == ""


def test_one_worker_per_core_counting_the_quota_of_a_container(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota, expected in (
        ("max 100000", 8),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("nonsense", 8),
        ("9900000 100000", 8),
    ):
        monkeypatch.setattr(Path, "read_text", lambda _, quota=quota: quota)
        assert default_workers() == expected


def test_the_children_start_while_the_embedded_server_loads_its_files(tmp_path, monkeypatch):
    """A large journal takes a while to load, and so do they."""
    loads = EmbeddedValkey.wait_ready

    async def main():
        async def after_the_children(valkey):
            await until(lambda: len(supervisors[0]._children) == 3 and all(it.pid for it in supervisors[0]._children))
            loading.append(valkey)
            await loads(valkey)

        loading: list[EmbeddedValkey] = []
        supervisors: list[Supervisor] = []
        monkeypatch.setattr(EmbeddedValkey, "wait_ready", after_the_children)
        monkeypatch.setattr(Supervisor, "_start_valkey", noting(Supervisor._start_valkey, supervisors))
        async with serving(plan(tmp_path, redis_url="")):
            assert loading

    asyncio.run(main())


def noting(start, supervisors):
    async def noted(supervisor):
        supervisors.append(supervisor)
        return await start(supervisor)

    return noted


def test_the_ledger_and_its_key_are_there_before_any_child(tmp_path):
    place = Place(tmp_path / "data" / "ledger", tmp_path / "data" / "ledger.key", "")

    async def story():
        async with serving(plan(tmp_path, ledger=place)):
            assert place.signer().name.startswith("policy-gateway/")

    asyncio.run(story())


def test_without_a_place_for_the_ledger_nothing_starts(tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "ledger").write_text("in the way", encoding="ascii")
    place, said = Place(tmp_path / "data" / "ledger", tmp_path / "data" / "ledger.key", ""), Said()
    assert Supervisor(plan(tmp_path, ledger=place), said).run() == 1
    assert any("cannot be read" in sentence or "cannot be kept" in sentence for sentence in said)
    assert not (tmp_path / "data" / "ledger.key").exists() and not (tmp_path / "notes").exists()
