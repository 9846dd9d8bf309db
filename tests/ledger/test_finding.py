"""Every fact of a call is found in the log itself, wherever it stands, also one that is too long to stand there."""

from dataclasses import replace

import pytest

from gateway.core.facts import Asked, Notice
from gateway.core.leaf import MOST_BYTES
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.finding import about, beginnings, leaves_at
from tests.sealed_lives import ASKED, GRANT, HOLD, LIVES, NO, START, call, id_of, leaves_of_life, sealed
from tests.sealed_log import entry, write_log

MANY = tuple(Notice(id=f"n-{number}", group="finance", channel=0, to=("x" * 50,)) for number in range(1000))


def long_life(tmp_path):
    first = call(1)
    name = first.call.id
    leaves = leaves_of_life(first, HOLD, replace(ASKED, notices=MANY), NO)
    assert len(leaves[2]) > MOST_BYTES
    write_log(tmp_path, name[:2], leaves)
    return name, leaves


@pytest.mark.parametrize("name", LIVES)
def test_the_facts_of_a_call_and_of_no_other(tmp_path, name):
    log = LogFiles.open(sealed(tmp_path), id_of(name)[:2])
    found = list(about(log, id_of(name)))
    assert [leaf.position for _, leaf in found] == list(range(len(LIVES[name])))
    assert [type(leaf.fact()) for _, leaf in found] == [type(fact) for fact in LIVES[name]]
    assert [next(log.leaves(index, index + 1)).count(id_of(name).encode()) for index, _ in found] == [2] + [1] * (
        len(found) - 1
    )
    assert list(about(log, id_of(name), found[0][0])) == found
    assert list(about(log, id_of(name), found[0][0] + 1)) == found[1:]


def test_scattered_over_bundles(tmp_path):
    """A call whose facts lie among hundreds of others', and that others mention."""
    mine, other = call(1), call(2, run=call(1).call.id)
    leaves = [entry(0, mine.call.id, 0, [replace(mine, at=START)])[0]]
    leaves += [entry(n, other.call.id, n - 1, [replace(other, at=START)])[0] for n in range(1, 700)]
    leaves += [entry(701, mine.call.id, 1, [replace(HOLD, at=START)])[0]]
    write_log(tmp_path, mine.call.id[:2], leaves)
    log = LogFiles.open(tmp_path, mine.call.id[:2])
    assert [index for index, _ in about(log, mine.call.id)] == [0, 700]
    assert [index for index, _ in about(log, mine.call.id, 1)] == [700]
    assert beginnings(log, mine.call.id[:3], 9) == [mine.call.id, other.call.id]
    assert beginnings(log, mine.call.id[:3], 1) == [mine.call.id]
    assert beginnings(log, mine.call.id, 9) == [mine.call.id]
    assert beginnings(log, "zz", 9) == []
    assert list(leaves_at(log, [700, 0, 3])) == [leaves[700], leaves[0], leaves[3]]
    for nowhere in (701, -1):
        with pytest.raises(IndexError, match="there is no leaf"):
            list(leaves_at(log, [nowhere]))


def test_grants(tmp_path):
    log = LogFiles.open(sealed(tmp_path), GRANT[6:8])
    assert [type(leaf.fact()).__name__ for _, leaf in about(log, GRANT)] == ["Granted", "Revoked"]
    assert beginnings(log, "grant-", 9) == [GRANT]


def test_a_long_fact_is_read_from_beside_the_log(tmp_path):
    name, leaves = long_life(tmp_path)
    log = LogFiles.open(tmp_path, name[:2])
    found = [leaf.fact() for _, leaf in about(log, name)]
    assert isinstance(found[2], Asked) and found[2].notices == MANY
    assert list(leaves_at(log, range(4))) == leaves


def test_a_long_fact_that_was_changed_is_not_believed(tmp_path):
    name, leaves = long_life(tmp_path)
    [file] = (tmp_path / name[:2] / "long").iterdir()
    log = LogFiles.open(tmp_path, name[:2])
    file.write_bytes(leaves[2].replace(b"n-999", b"n-998"))
    for reading in (lambda: list(about(log, name)), lambda: list(leaves_at(log, [2]))):
        with pytest.raises(Damaged, match="not what the log has the digest of"):
            reading()
    file.unlink()
    with pytest.raises(Damaged, match="missing"):
        list(about(log, name))
