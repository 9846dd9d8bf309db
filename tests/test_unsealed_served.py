"""A ledger that cannot be kept, on real processes: a sentence, nothing touched, no effect, until it is cured.

One gateway goes through all of it, because each trouble must leave nothing behind that the next one would meet.
"""

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import redis

from gateway.core.ledger_settings import LedgerSettings
from gateway.core.sealed import Sealed, read_sealed
from gateway.ledger.files import LogFiles
from gateway.ledger.note import Signer, open_checkpoint
from gateway.ledger.place import Place
from tests.gateway_process import eventually
from tests.gateway_world import World, slug, world
from tests.processes import gone

numbers = itertools.count()


@pytest.fixture(scope="module")
def there() -> Iterator[World]:
    with world() as found:
        found.pay("begin")
        eventually(lambda: sealed(found), "nothing was sealed")
        yield found


def ledger(there: World) -> Path:
    return there.gateway.data / "ledger"


def sealed(there: World) -> dict[str, int]:
    """How many facts of each log are signed, with our key."""
    verifier = Place.of(LedgerSettings(), there.gateway.data).signer().verifier
    found = {}
    for folder in ledger(there).glob("[0-9][0-9]"):
        note = LogFiles(folder).note()
        if note:
            found[folder.name] = open_checkpoint(note, verifier.of(folder.name)).size
    return found


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pay(there: World) -> httpx.Response:
    return there.pay(f"payee {next(numbers)}")


def effects(there: World) -> int:
    return len(there.upstream.requests)


def refused(there: World) -> bool:
    answer = pay(there)
    assert answer.status_code in (200, 503), answer.text
    assert str(there.gateway.data) not in answer.text, "agents are not told where what is"
    return answer.status_code == 503 and slug(answer) == "journal-unavailable"


@contextmanager
def trouble(there: World, fragment: str, *, kill: bool = True) -> Iterator[None]:
    """Effects stop with that sentence, nothing is touched; the block then cures it, and service returns."""
    if kill:
        pids = there.gateway.kill("steward")
        eventually(lambda: all(map(gone, pids)))
    before = everything(ledger(there))  # what the one that was killed left; its successor must touch nothing
    eventually(lambda: refused(there), "never refused")
    eventually(lambda: fragment in there.gateway.readyz().text, f"{fragment!r} is not in /readyz")
    assert there.gateway.readyz().status_code == 503
    done = effects(there)
    assert refused(there) and refused(there)
    read = there.agent().get("/bank/items/7")
    assert slug(read) == "journal-unavailable", "an answer that leaves no record is withheld"
    assert [request.method for request in there.upstream.requests[done:]] == [b"GET"], "its effect is to be disclosed"
    if kill:  # else the disk is full, and what could be written is of a tree that was never sealed
        assert everything(ledger(there)) == before
    yield
    eventually(lambda: pay(there).status_code == 200, "service did not return")
    eventually(lambda: there.gateway.readyz().status_code == 200, "not ready again")
    assert there.agent().get("/bank/items/7").status_code == 200
    goes_on(there)


def goes_on(there: World) -> None:
    """Everything that happened meanwhile is sealed."""
    size = sum(sealed(there).values())
    assert pay(there).status_code == 200
    eventually(lambda: sum(sealed(there).values()) >= size + 4, "sealing does not go on")


def test_what_happens_is_sealed_and_signed_within_seconds(there):
    assert there.gateway.readyz().status_code == 200
    goes_on(there)


def test_a_file_in_the_way_of_the_directory(there):
    away = there.gateway.data / "away"
    ledger(there).rename(away)
    ledger(there).write_text("in the way")
    with trouble(there, "cannot be kept in", kill=False):
        assert ledger(there).read_text() == "in the way"
        ledger(there).unlink()
        away.rename(ledger(there))


def test_a_key_that_another_log_has(there):
    key = there.gateway.data / "ledger.key"
    right = key.read_bytes()
    key.write_text(Signer.new("policy-gateway/another").text())
    with trouble(there, "does not belong to the ledger's signing key"):
        key.write_bytes(right)


def test_a_key_that_is_missing(there):
    key = there.gateway.data / "ledger.key"
    away = key.with_name("away.key")
    key.rename(away)
    with trouble(there, "is missing, but there is a log in"):
        assert not key.exists(), "none is made in its place"
        away.rename(key)


def test_a_log_that_a_newer_version_wrote(there):
    named = ledger(there) / "format"
    right = named.read_bytes()
    named.write_text("policy-gateway ledger 2\n")
    with trouble(there, "in format 2, and this version knows format 1"):
        named.write_bytes(right)


def stop(there: World) -> None:
    [steward] = eventually(lambda: there.gateway.pids("steward"))
    os.kill(steward, signal.SIGSTOP)
    state = Path(f"/proc/{steward}/stat")
    eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")


def test_a_byte_of_the_log_that_changed(there):
    stop(there)  # else it would soon write a tile anew from what it remembers
    name = max(sealed(there), key=lambda name: sealed(there)[name])
    tiles = [path for path in (ledger(there) / name / "tile" / "0").rglob("*") if path.is_file()]
    good = {tile: tile.read_bytes() for tile in tiles}
    for tile, data in good.items():
        tile.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with trouble(there, "The sealed log is damaged"):
        for tile, data in good.items():
            tile.write_bytes(data)


def test_a_full_disk(there, tmp_path):
    """The directory on a small file system of its own."""
    away = there.gateway.data / "away"
    ledger(there).rename(away)
    ledger(there).mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", ledger(there)], capture_output=True, check=False
    )
    try:
        if mounted.returncode:
            pytest.skip("only root may mount a file system")
        subprocess.run(["cp", "-a", f"{away}/.", ledger(there)], check=True)
        goes_on(there)
        with suppress(OSError), (ledger(there) / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        with trouble(there, "no space left on device", kill=False):
            (ledger(there) / "filler").unlink()
        subprocess.run(["cp", "-a", f"{ledger(there)}/.", away], check=True)
    finally:
        if not mounted.returncode:
            there.gateway.kill("steward")
            eventually(
                lambda: subprocess.run(["umount", ledger(there)], capture_output=True, check=False).returncode == 0
            )
        ledger(there).rmdir()
        away.rename(ledger(there))
    eventually(lambda: pay(there).status_code == 200, "service did not return")


def test_a_cursor_that_is_ahead_of_the_stream(there):
    """Redis was restored from an older state. That somebody has to say."""
    stop(there)  # else it might move the cursor meanwhile
    server = redis.Redis(unix_socket_path=str(there.gateway.data / "valkey.sock"))
    name = max(sealed(there), key=lambda name: sealed(there)[name])
    text = server.get(f"{{{name}}}:sealed")
    assert isinstance(text, bytes)
    was = read_sealed(text)
    server.set(f"{{{name}}}:sealed", Sealed(was.lease, was.size, was.root, "1800000000000000-0").text)
    with trouble(there, "is sealed up to entry 1800000000000000-0, but the stream in Redis ends at"):
        server.set(f"{{{name}}}:sealed", was.text)
        assert there.person("operator").post("/journal/acknowledge-loss", json={}).status_code == 200
    server.close()


def test_a_start_with_a_wrong_key_is_refused_with_the_sentence(there):
    key = there.gateway.data / "ledger.key"
    right, before = key.read_bytes(), everything(ledger(there))

    def start_with_another_key() -> None:
        key.write_text(Signer.new("policy-gateway/another").text())
        done = subprocess.run(
            there.gateway.process.args[3:],
            env=dict(there.gateway.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1 and "does not belong to the ledger's signing key" in done.stderr
        assert "nothing was started" in done.stderr
        key.write_bytes(right)

    size = sum(sealed(there).values())
    there.gateway.restart(start_with_another_key)
    assert sum(sealed(there).values()) >= size
    assert before
    goes_on(there)
