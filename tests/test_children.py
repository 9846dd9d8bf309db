"""A child is started again whenever it dies, and never outlives its parent."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from gateway import children
from gateway.children import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    CannotStart,
    Child,
    Hopeless,
    Launch,
    ending,
    pause_after,
    tied,
)
from tests.processes import PATIENCE_SECONDS, gone, until

FOREVER = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)")


def python(source, *arguments):
    return (sys.executable, "-I", "-S", "-c", textwrap.dedent(source), *map(str, arguments))


def simple(argv):
    async def prepare():
        return Launch(argv=argv)

    return prepare


def test_the_first_death_is_answered_at_once_and_a_crash_loop_with_growing_pauses():
    pauses = [pause_after(deaths) for deaths in range(1, 12)]
    assert pauses[0] == 0
    assert pauses[1] == FIRST_PAUSE_SECONDS
    assert all(later in {2 * earlier, LONGEST_PAUSE_SECONDS} for earlier, later in pairwise(pauses[1:]))
    assert pause_after(10_000_000) == LONGEST_PAUSE_SECONDS


def test_an_ending_is_told_in_words():
    assert ending(3) == "ended with exit code 3"
    assert ending(-9) == "was killed by SIGKILL"
    assert ending(-63) == "was killed by signal 63"


def test_a_killed_child_is_started_again_and_the_log_says_so(caplog):
    async def main():
        child = Child("worker 7", simple(FOREVER))
        child.start()
        seen: set[int | None] = set()
        for _ in range(2):
            await until(lambda: child.pid not in {None, *seen})
            seen.add(child.pid)
            child.signal(signal.SIGKILL)
        await until(lambda: child.pid not in {None, *seen})
        last = child.pid
        assert await child.stop(10)
        assert gone(last)
        assert child.pid is None

    asyncio.run(main())
    assert "worker 7 was killed by SIGKILL; starting it again now" in caplog.text


def test_a_child_that_was_healthy_for_a_while_is_started_at_once_however_often_it_died(monkeypatch, caplog):
    monkeypatch.setattr(children, "HEALTHY_SECONDS", 0.0)

    async def main():
        child = Child("worker", simple(("/bin/true",)))
        child.start()
        await until(lambda: child.starts >= 6)
        await child.stop(10)

    asyncio.run(main())
    assert " seconds" not in caplog.text


def test_a_program_that_cannot_be_started_is_tried_again_too(tmp_path):
    async def main():
        attempts = []

        async def prepare():
            attempts.append(True)
            if len(attempts) < 3:
                raise CannotStart("not yet")
            return Launch(argv=FOREVER)

        child = Child("worker", prepare)
        child.start()
        await until(lambda: child.pid)
        await child.stop(10)
        assert len(attempts) == 3

    asyncio.run(main())


def test_a_hopeless_start_is_told_once_and_not_repeated():
    async def main():
        child = Child("worker", simple(("/bin/sh", "-c", "exit 78")), hopeless=lambda code: code == 78)
        with pytest.raises(Hopeless, match="worker ended with exit code 78"):
            await asyncio.wait_for(child.start(), PATIENCE_SECONDS)
        assert child.starts == 1

    asyncio.run(main())


def speaking(source, **options):
    async def prepare():
        ours, theirs = socket.socketpair()
        return Launch(argv=python(source, theirs.fileno()), handed_over=(theirs.detach(),), line=ours, **options)

    return prepare


READY_THEN = "import os, sys; os.write(int(sys.argv[1]), b'rea'); os.write(int(sys.argv[1]), b'dy\\n'); "


def test_once_it_was_ready_nothing_is_hopeless():
    async def main():
        child = Child("worker", speaking(READY_THEN + "sys.exit(78)"), hopeless=lambda _: True)
        child.mark_ready()
        child.start()
        await until(lambda: child.starts >= 3)
        await child.stop(10)

    asyncio.run(main())


def started_more_than(child, starts):
    return child.starts > starts


def test_readiness_is_that_of_the_present_process(tmp_path):
    may = tmp_path / "may be ready"
    waits = f"import os, time\nwhile not os.path.exists({str(may)!r}): time.sleep(0.01)\n"

    async def main():
        child = Child("worker", speaking(waits + READY_THEN + "import time; time.sleep(600)"))
        child.start()
        for starts in (1, 2):
            may.touch()
            await asyncio.wait_for(child.ready.wait(), PATIENCE_SECONDS)
            may.unlink()
            child.signal(signal.SIGKILL)
            await until(partial(started_more_than, child, starts))
            assert not child.ready.is_set()
        await child.stop(10)
        assert not child.ready.is_set()

    asyncio.run(main())


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace():
    async def main():
        child = Child(
            "worker", speaking("import signal, time; signal.signal(15, 1); " + READY_THEN + "time.sleep(600)")
        )
        child.start()
        await asyncio.wait_for(child.ready.wait(), PATIENCE_SECONDS)
        pid = child.pid
        assert not await child.stop(0.05)
        assert gone(pid)

    asyncio.run(main())


def test_stop_reaches_a_child_that_is_being_started_and_one_that_waits_for_its_next_start(monkeypatch):
    monkeypatch.setattr(children, "pause_after", lambda deaths: 600.0 if deaths > 1 else 0.0)

    async def main():
        child = Child("worker", simple(FOREVER))
        task = child.start()
        await asyncio.sleep(0)
        assert await child.stop(10)
        assert task.done()

        child = Child("worker", simple(("/bin/false",)))
        task = child.start()
        await until(lambda: child.starts == 2 and child.pid is None)  # by now it pauses
        assert await asyncio.wait_for(child.stop(10), PATIENCE_SECONDS)
        assert await Child("never started", simple(FOREVER)).stop(1)

    asyncio.run(main())


def test_a_cancelled_keeper_leaves_no_process_behind():
    async def main():
        child = Child("worker", simple(FOREVER))
        task = child.start()
        await until(lambda: child.pid)
        pid = child.pid
        task.cancel()
        await asyncio.wait({task})
        assert gone(pid)

    asyncio.run(main())


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_leaks_however_often_a_child_dies():
    async def main():
        child = Child("worker", speaking("pass"))
        child.start()
        await until(lambda: child.starts >= 2)
        before = descriptors()
        await until(lambda: child.starts >= 5)
        assert descriptors() <= before + 3  # the one that is just running
        await child.stop(10)

    asyncio.run(main())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a child watches its line")
def test_a_child_dies_with_a_parent_that_is_killed():
    script = textwrap.dedent("""
        import subprocess, sys
        from gateway.children import tied
        source = "import time; print('up', flush=True); time.sleep(600)"
        child = subprocess.Popen(tied((sys.executable, "-c", source), 9))
        print(child.pid, flush=True)
        child.wait()
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        pid = int((lines - {"up"}).pop())
        assert not gone(pid)
        parent.kill()
    asyncio.run(until(lambda: gone(pid)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a child watches its line")
def test_a_child_whose_parent_is_gone_before_the_tie_never_becomes_the_program(tmp_path):
    argv = list(tied(("/bin/sh", "-c", f"touch {tmp_path}/ran"), 9))
    argv[argv.index(str(os.getpid()))] = "1"  # as if this had been started by a process that is not its parent now
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the parent process is gone" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_the_wrapper_leaves_no_trace_in_the_program():
    """The same process id, and signals at their defaults: Python ignores SIGPIPE, a program must not inherit that."""
    source = "import os, signal; print(os.getpid(), os.getppid())"
    process = subprocess.Popen(tied(python(source), 9), stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.read().split() == [str(process.pid), str(os.getpid())]
    done = subprocess.run(tied(("/bin/sh", "-c", "kill -PIPE $$; echo alive"), 9), capture_output=True, check=False)
    assert done.returncode == -signal.SIGPIPE
    assert b"alive" not in done.stdout
