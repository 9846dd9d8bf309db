"""What is remembered of the ledger outside Redis, and what follows from it."""

from pathlib import Path

import pytest

from gateway.adapters.redis.high_water import HighWater, Memory


def test_what_was_written_is_read_by_another_process(tmp_path: Path) -> None:
    HighWater(tmp_path / "data" / "high-water.json").write({"07": (1_700_000_000_000, 3), "63": (5, 0)})
    assert HighWater(tmp_path / "data" / "high-water.json").read() == {"07": (1_700_000_000_000, 3), "63": (5, 0)}


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    assert HighWater(tmp_path / "high-water.json").read() == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"07": 5}', '{"07": ["x", 1]}', "null"])
def test_a_damaged_file_is_said_and_stops_nobody(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "high-water.json"
    path.write_text(text)
    assert HighWater(path).read() == {}
    assert str(path) in caplog.text


def test_a_ledger_that_ends_where_it_did_or_later_lacks_nothing() -> None:
    memory = Memory()
    memory.remember("07", (100, 1))
    memory.compare("07", (100, 1))
    memory.compare("07", (200, 0))
    assert memory.loss == ""


def test_a_ledger_that_ends_before_lacks_something_until_a_person_knows() -> None:
    memory = Memory()
    memory.remember("07", (100, 1))
    memory.compare("07", (100, 0))
    assert "acknowledge-loss" in memory.loss
    memory.acknowledged(memory.acknowledgement(150))
    assert memory.loss == ""
    assert memory.highest == {}


def test_an_acknowledgement_of_an_earlier_loss_does_not_count() -> None:
    """A state that has the acknowledgement is newer than it, so what is missing after it was lost later."""
    memory = Memory()
    memory.remember("07", (100, 1))
    memory.compare("07", (40, 0))
    memory.acknowledged(99)
    assert memory.loss


def test_an_acknowledgement_counts_for_whoever_notices_the_loss_only_afterwards() -> None:
    memory = Memory()
    memory.acknowledged(150)
    memory.remember("07", (100, 1))
    memory.compare("07", (40, 0))
    memory.acknowledged(150)
    assert memory.loss == ""


def test_a_server_whose_clock_is_slow_can_be_acknowledged() -> None:
    memory = Memory()
    memory.remember("07", (1_000, 0))
    memory.compare("07", (40, 0))
    memory.acknowledged(memory.acknowledgement(500))
    assert memory.loss == ""


def test_what_others_know_counts(tmp_path: Path) -> None:
    HighWater(tmp_path / "file").write({"07": (100, 1)})
    memory = Memory(HighWater(tmp_path / "file"))
    memory.remember("07", (100, 0))
    memory.refresh()
    assert memory.highest == {"07": (100, 1)}
