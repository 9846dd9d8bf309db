"""How long a starting process waits for the journal, and what it says meanwhile."""

import asyncio
import logging
from typing import Any

import pytest

from gateway import app
from gateway.ports import JournalUnavailable


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
    monkeypatch.setattr(app, "JOURNAL_SECONDS", patience)
    asyncio.run(app._reach(journal, embedded=embedded))


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
