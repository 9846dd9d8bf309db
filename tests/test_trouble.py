"""What lasts is said once, then at most once a minute, and its end with how long it lasted."""

import logging

import pytest

from gateway.trouble import AGAIN_SECONDS, Trouble

log = logging.getLogger("trouble")


class Scene:
    def __init__(self, caplog, **options):
        caplog.set_level(logging.INFO)
        self._caplog, self.now = caplog, 1000.0
        self.trouble = Trouble(
            log=log, level=logging.WARNING, bad="it is away", good="it is back", clock=lambda: self.now, **options
        )

    def said(self):
        found = [f"{record.levelname} {record.getMessage()}" for record in self._caplog.records]
        self._caplog.clear()
        return found


def test_what_is_well_says_nothing(caplog):
    scene = Scene(caplog)
    scene.trouble.is_over()
    assert scene.said() == []


@pytest.mark.parametrize("reminds", [True, False])
def test_it_is_said_once_and_its_end_with_how_long_it_lasted(caplog, reminds):
    scene = Scene(caplog, reminds=reminds)
    for _ in range(31):
        scene.trouble.lasts("no socket")
        scene.now += 1.0
    assert scene.said() == ["WARNING it is away: no socket"]
    scene.trouble.is_over()
    scene.trouble.is_over()
    assert scene.said() == ["INFO it is back after 31 s"]
    scene.trouble.lasts("no socket")
    assert scene.said() == ["WARNING it is away: no socket"], "the second time is news again"


def test_what_reminds_is_said_again_once_a_minute(caplog):
    scene = Scene(caplog, reminds=True)
    for _ in range(int(3 * AGAIN_SECONDS)):
        scene.trouble.lasts("no socket")
        scene.now += 1.0
    assert scene.said() == [
        "WARNING it is away: no socket",
        "WARNING it is away, for 60 s now: no socket",
        "WARNING it is away, for 2 min now: no socket",
    ]


def test_otherwise_only_another_reason_is_said_and_not_before_a_minute_is_over(caplog):
    scene = Scene(caplog)
    for number in range(int(AGAIN_SECONDS) + 1):
        scene.trouble.lasts(f"memory is at {number} %")
        scene.now += 1.0
    assert scene.said() == [
        "WARNING it is away: memory is at 0 %",
        "WARNING it is away, for 60 s now: memory is at 60 %",
    ]
    scene.now += 10 * AGAIN_SECONDS
    scene.trouble.lasts("memory is at 60 %")
    assert scene.said() == []
