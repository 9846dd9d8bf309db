"""Work on all logs at once, and the bar for whoever waits. With processes: see `test_verify`."""

import os
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from gateway.audit import parallel
from gateway.audit.parallel import Killed, each_log
from gateway.core.deployment import LOGS
from tests import possible_record as record


def named(ledger: Path, partition: str, mark: str, progress: parallel.Told) -> str:
    progress(1)
    return f"{ledger.name} {partition} {mark} {os.getpid()}"


def killed(ledger: Path, partition: str, progress: parallel.Told) -> str:
    os._exit(9)


@pytest.mark.parametrize("alone", [0, 10**9])
def test_what_was_done_comes_in_the_order_of_the_logs(tmp_path, monkeypatch, alone):
    monkeypatch.setattr(parallel, "ALONE", alone)
    record.write(tmp_path, record.small())
    done = each_log("naming", tmp_path, named, lambda name: (name * 2,))
    assert [text.rpartition(" ")[0] for text in done] == [f"{tmp_path.name} {name} {name * 2}" for name in LOGS]
    assert (str(os.getpid()) in {text.rpartition(" ")[2] for text in done}) == bool(alone)


def test_a_process_that_is_killed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "ALONE", 0)
    with pytest.raises(Killed, match="is there enough memory"):
        each_log("dying", tmp_path, killed, lambda _: ())


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_for_somebody_who_waits_and_for_nobody_else(tmp_path, terminal):
    with (tmp_path / "out").open("w") as file:
        bar = parallel._Bar("reading", 100, Console(file=file, force_terminal=terminal), time.monotonic())
        bar(10)
        assert bar.bar is None, "a second has not passed"
        bar.begun -= 2
        bar(10)
        drawn: list[Progress] = list(filter(None, [bar.bar]))
        assert len(drawn) == terminal
        for shown in drawn:
            assert shown.tasks[0].completed == 20
            shown.stop()
