"""Nothing of this host has an effect before somebody has looked whether the record is whole."""

import asyncio

import pytest

from gateway import first_look
from gateway.first_look import forget, say


def test_whoever_waits_goes_on_when_somebody_has_looked_since_the_start(tmp_path, caplog):
    async def story():
        say(tmp_path)
        forget(tmp_path)  # that was an earlier run
        waiting = asyncio.ensure_future(first_look.first_look(tmp_path))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.1)
        say(tmp_path)
        say(tmp_path)
        await waiting
        await first_look.first_look(tmp_path)

    asyncio.run(story())
    assert caplog.text == ""


def test_a_look_that_takes_too_long_keeps_nobody_and_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(first_look, "PATIENCE_SECONDS", 0.05)
    forget(tmp_path)
    asyncio.run(first_look.first_look(tmp_path))
    assert "was not looked at within 0.05 seconds" in caplog.text
    say(tmp_path / "missing")
