"""How long a starting process waits for the journal, and what it says meanwhile."""

import asyncio
import logging
import os
from queue import Queue
from typing import Any

import pytest

from gateway import app, parts, working
from gateway.duty import JOURNAL_UNREACHABLE, Duty
from gateway.ports import JournalUnavailable
from gateway.settings import Settings
from gateway.valkey_log import LOG


class Away:
    """A journal that answers the `after`th time."""

    loss = ""

    def __init__(self, after: int) -> None:
        self.left = after

    async def learn_time(self) -> None:
        self.left -= 1
        if self.left >= 0:
            raise JournalUnavailable("it is loading")

    async def heed(self) -> None:
        pass


def reach(monkeypatch, journal: Any, *, embedded: bool, patience: float) -> None:
    monkeypatch.setattr(parts, "JOURNAL_SECONDS", patience)
    asyncio.run(parts._reach(journal, embedded=embedded))


def test_the_embedded_server_may_load_for_as_long_as_it_takes(monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        reach(monkeypatch, Away(3), embedded=True, patience=0.0)
    assert [record.message for record in caplog.records] == ["waiting for the journal: it is loading"], "once"


def test_of_a_moment_nobody_hears(monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        reach(monkeypatch, Away(3), embedded=True, patience=10.0)
    assert caplog.records == []


def test_a_server_elsewhere_is_waited_for_and_then_given_up(monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        reach(monkeypatch, Away(2), embedded=False, patience=10.0)
    assert len(caplog.records) == 1
    with pytest.raises(JournalUnavailable):
        reach(monkeypatch, Away(9), embedded=False, patience=0.0)


@pytest.mark.parametrize(
    ("redis_url", "log", "said"),
    [
        ("", "No space left on device", "the disk that holds {data} is full: free some space; nothing acknowledged"),
        ("", "Who knows", "the embedded journal does not answer (it closed the connection): see its log, {data}/"),
        ("redis://else.where", "", "the journal cannot be reached (it closed the connection): start that Redis, or"),
    ],
)
def test_a_journal_that_goes_away_during_a_start_is_called_by_its_name(tmp_path, monkeypatch, redis_url, log, said):
    """A full disk shows only at the first write, when the embedded server had answered before."""
    (tmp_path / LOG).write_text(log)

    async def gone(*_: object) -> None:
        raise JournalUnavailable("it closed the connection")

    monkeypatch.setattr(working, "work", gone)
    monkeypatch.setattr(app, "log_aside", lambda *_: Queue())
    read, write = os.pipe()
    duty = Duty(role="worker", number=0, listen=(), line=write, redis_url="", document={"data": str(tmp_path)})
    assert app.run(duty, Settings(redis_url=redis_url)) == JOURNAL_UNREACHABLE
    heard = os.read(read, 4096).decode()
    assert said.format(data=tmp_path) in heard
    assert ("Redis" in heard) == bool(redis_url) and ("start the gateway again" in heard) == (not redis_url)
