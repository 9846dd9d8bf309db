"""What is remembered of the ledger outside Redis, and what follows from it."""

import asyncio
from pathlib import Path

import pytest

from gateway.adapters.redis.high_water import ACKNOWLEDGED, FOUND, HighWater, Memory


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


class Redis:
    """As much of one as a memory talks to."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def ask(self, command: str, name: str, *value: str) -> bytes | None:
        match command:
            case "SET":
                self.kept[name] = value[0].encode()
            case "DEL":
                self.kept.pop(name, None)
        return self.kept.get(name)

    def heard_by(self, *memories: Memory) -> None:
        for memory in memories:
            asyncio.run(memory.heed(self.ask))

    def acknowledge(self, at: int) -> None:
        self.kept[ACKNOWLEDGED] = str(at).encode()


def one_that_misses(highest: tuple[int, int], last: tuple[int, int] = (40, 0)) -> Memory:
    memory = Memory()
    memory.remember("07", highest)
    memory.compare("07", last)
    return memory


def test_a_ledger_that_ends_before_lacks_something_until_a_person_knows() -> None:
    memory, redis = one_that_misses((100, 1), (100, 0)), Redis()
    redis.heard_by(memory)
    assert "acknowledge-loss" in memory.loss
    redis.acknowledge(memory.acknowledgement(150))
    redis.heard_by(memory)
    assert (memory.loss, memory.highest) == ("", {})


def test_one_that_found_a_loss_stops_all() -> None:
    finder, other, redis = one_that_misses((100, 1)), Memory(), Redis()
    redis.heard_by(finder, other)
    assert other.loss == finder.loss
    redis.acknowledge(other.acknowledgement(150))
    redis.heard_by(other, finder)
    assert (other.loss, finder.loss) == ("", "")
    assert FOUND not in redis.kept


def test_an_acknowledgement_of_an_earlier_loss_does_not_count() -> None:
    memory, redis = one_that_misses((100, 1)), Redis()
    redis.acknowledge(99)
    redis.heard_by(memory)
    assert memory.loss


def test_an_acknowledgement_counts_for_whoever_notices_the_loss_only_afterwards() -> None:
    memory, redis = one_that_misses((100, 1)), Redis()
    redis.acknowledge(150)
    redis.heard_by(memory)
    assert memory.loss == ""


def test_a_server_whose_clock_is_slow_can_be_acknowledged() -> None:
    memory, redis = one_that_misses((1_000, 0)), Redis()
    redis.acknowledge(memory.acknowledgement(500))
    redis.heard_by(memory)
    assert memory.loss == ""


def test_what_others_know_counts(tmp_path: Path) -> None:
    HighWater(tmp_path / "file").write({"07": (100, 1)})
    memory = Memory(HighWater(tmp_path / "file"))
    memory.remember("07", (100, 0))
    memory.refresh()
    assert memory.highest == {"07": (100, 1)}
