"""Effects go on after a loss only once the record says who let them: `settled` asks every later record for that."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.doors import control
from gateway.doors.control import ControlPlane
from gateway.ports import JournalUnavailable


@pytest.mark.parametrize("fails", [False, True])
def test_a_loss_is_acknowledged_in_the_record_before_effects_go_on(monkeypatch, fails):
    happened = []

    async def heed() -> None:
        happened.append("heed")

    async def acknowledge_loss() -> None:
        happened.append("acknowledge")

    async def note(fact: Any) -> None:
        if fails:
            raise JournalUnavailable("away")
        happened.append(f"{type(fact).__name__} by {fact.by}: {fact.loss}")

    async def record_generation() -> None:
        happened.append("generation")

    journal = SimpleNamespace(loss="two facts", heed=heed, acknowledge_loss=acknowledge_loss)
    plane: Any = SimpleNamespace(journal=journal, routes=None, note=note, record_generation=record_generation)
    monkeypatch.setattr(control, "person", lambda *_: SimpleNamespace(name="olga"))
    request: Any = None
    if fails:
        with pytest.raises(JournalUnavailable):
            asyncio.run(ControlPlane.acknowledge_loss(plane, request))
        assert happened == ["heed"], "it can be said again"
    else:
        assert asyncio.run(ControlPlane.acknowledge_loss(plane, request)).status_code == 200
        assert happened == ["heed", "LossAcknowledged by olga: two facts", "acknowledge", "generation"]
