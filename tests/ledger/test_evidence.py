"""What is told of a call is proved from its leaves to the signed root, and nothing that was changed passes."""

from dataclasses import replace

import pytest

from gateway.core.deployment import NAME
from gateway.ledger.evidence import Evidence, NotThere, Proven, current, facts_of_call, faults, gather, superseded
from gateway.ledger.files import Damaged
from gateway.ledger.note import Signer
from tests.sealed_lives import (
    ALLOW,
    ANSWER,
    ASKED,
    CLAIM,
    GIVEN,
    GRANT,
    HOLD,
    LIVES,
    NO,
    START,
    TAKEN_BACK,
    YES,
    call,
    id_of,
    leaves_of_life,
    sealed,
)
from tests.sealed_log import SIGNER, entry, write_log

KEY = SIGNER.verifier


@pytest.fixture
def ledger(tmp_path):
    return sealed(tmp_path)


def of(ledger, name="approved") -> Evidence:
    return gather(ledger, id_of(name))


@pytest.mark.parametrize("name", LIVES)
def test_every_life_is_proved(ledger, name):
    found = of(ledger, name)
    assert list(faults(found, KEY)) == [] == list(faults(found, None))
    assert [type(fact) for fact in facts_of_call(found)] == [type(fact) for fact in LIVES[name]]
    assert superseded(found) == 0


def test_a_grant_and_the_deployment_are_proved(ledger):
    grant = gather(ledger, GRANT)
    assert list(faults(grant, KEY)) == [] and len(grant.facts) == 2
    loaded = gather(ledger, NAME, only={1})
    assert list(faults(loaded, KEY)) == [] and [fact.index for fact in loaded.facts] == [1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("zz", "There is no log for such a name"),
        ("", "There is no log for such a name"),
        ("64" + "0" * 20, "There is no log for such a name"),
        ("00" + "0" * 20, "There is no log 00 in"),
        ("../../etc", "There is no log for such a name"),
    ],
)
def test_what_is_not_there_is_said(ledger, name, said):
    with pytest.raises(NotThere, match=said):
        gather(ledger, name)


def test_a_call_that_is_not_in_its_log(ledger):
    with pytest.raises(NotThere, match="which has"):
        gather(ledger, call(999).call.id)
    (ledger / id_of("approved")[:2] / "checkpoint").unlink()
    with pytest.raises(NotThere, match="nothing in it is sealed yet"):
        of(ledger)


def sentence(evidence: Evidence, verifier=KEY) -> str:
    found = list(faults(evidence, verifier))
    assert found
    return found[0]


def changed(evidence: Evidence, place: int, **changes) -> Evidence:
    facts = list(evidence.facts)
    facts[place] = replace(facts[place], **changes)
    return replace(evidence, facts=tuple(facts))


def test_every_bit_of_every_leaf_hash_and_signature_counts(ledger):
    found = of(ledger)
    for place, fact in enumerate(found.facts):
        for number in range(0, len(fact.data), 7):
            data = bytearray(fact.data)
            data[number] ^= 1
            assert list(faults(changed(found, place, data=bytes(data)), KEY))
        for number, each in enumerate(fact.path):
            path = (*fact.path[:number], bytes([each[0] ^ 1]) + each[1:], *fact.path[number + 1 :])
            assert "is not in the log that was signed" in sentence(changed(found, place, path=path))
    for number in range(len(found.note)):
        note = bytearray(found.note)
        note[number] ^= 1
        assert list(faults(replace(found, note=bytes(note)), KEY)), number


def test_a_fact_in_another_place(ledger):
    found = of(ledger)
    assert "is not in the log" in sentence(changed(found, 0, index=found.facts[0].index + 100))
    assert "is not in the log" in sentence(changed(found, 0, path=(b"\0" * 32,) * 65))
    swapped = replace(found, facts=(found.facts[1], found.facts[0], *found.facts[2:]))
    assert f"Leaf {found.facts[0].index} stands behind leaf {found.facts[1].index}." in list(faults(swapped, KEY))
    twice = replace(found, facts=(found.facts[0], *found.facts))
    assert "stands behind" in sentence(twice)


@pytest.mark.parametrize("place", range(7))
def test_a_fact_that_is_left_out(ledger, place):
    found = of(ledger)
    less = replace(found, facts=(*found.facts[:place], *found.facts[place + 1 :]))
    assert f"Fact {place} of {found.name} is missing" in sentence(less)


def test_facts_of_another_call(ledger):
    one, other = of(ledger, "approved"), of(ledger, "answered")
    assert f"is about {other.name}, not about {one.name}" in sentence(replace(other, name=one.name))
    foreign = gather(ledger, id_of("denied"))
    assert "cannot stand" in sentence(replace(one, note=foreign.note), None)


def test_another_key(ledger):
    stranger = Signer.new("gateway.test/audit").verifier
    assert "The checkpoint is not signed as it must be" in sentence(of(ledger), stranger)
    assert "signed" in sentence(replace(of(ledger), note=b"nonsense"), None)


def test_a_life_that_cannot_have_been(tmp_path):
    """Sealed and signed, and still impossible: sent without an allow; sent after a no."""
    for number, life in enumerate([(CLAIM, ANSWER), (HOLD, ASKED, NO, ALLOW, CLAIM), (HOLD, YES)]):
        first = call(number)
        write_log(tmp_path, first.call.id[:2], leaves_of_life(first, *life))
        assert "cannot have happened then" in sentence(gather(tmp_path, first.call.id))


def test_a_grant_that_cannot_have_been(tmp_path):
    taken_back_first = [*entry(1, GRANT, 0, [TAKEN_BACK]), *entry(2, GRANT, 1, [GIVEN])]
    write_log(tmp_path, GRANT[6:8], taken_back_first)
    assert "cannot have happened then: it is revoked and was never given" in sentence(gather(tmp_path, GRANT))


def test_what_cannot_be_read_is_named(tmp_path):
    first = call(1)
    leaves = leaves_of_life(first, ALLOW, CLAIM, ANSWER)
    leaves[3] = leaves[3].replace(b'"Answered"', b'"Mumbled"')
    write_log(tmp_path, first.call.id[:2], leaves)
    assert sentence(gather(tmp_path, first.call.id)).startswith("Leaf 3 cannot be read")
    leaves[3] = b'{"call":"' + first.call.id.encode() + b'"}'
    write_log(tmp_path, first.call.id[:2], leaves)
    with pytest.raises(Damaged):
        gather(tmp_path, first.call.id)


def test_a_journal_that_came_back_with_less_writes_on(tmp_path):
    """Facts 2 and 3 were sealed and then lost in Redis: what came instead counts."""
    first = call(1)
    name = first.call.id
    leaves = [*leaves_of_life(first, HOLD, ASKED, NO)]
    later = [replace(fact, at=START) for fact in (ASKED, replace(YES, by="zoe"))]
    for place, fact in enumerate(later, 2):
        leaves += entry(100 + place, name, place, [fact])
    write_log(tmp_path, name[:2], leaves)
    found = gather(tmp_path, name)
    assert list(faults(found, KEY)) == []
    assert [type(fact).__name__ for fact in facts_of_call(found)] == ["Admitted", "Judged", "Asked", "Approved"]
    assert superseded(found) == 2
    assert [fact.index for fact in current(found)] == [0, 1, 4, 5]


def test_what_a_journal_that_came_back_writes_on_must_be_possible_too(tmp_path):
    first = call(1)
    name = first.call.id
    leaves = [*leaves_of_life(first, HOLD, ASKED, NO)]
    leaves += [*entry(102, name, 2, [replace(CLAIM, at=START)]), *entry(103, name, 3, [replace(ANSWER, at=START)])]
    write_log(tmp_path, name[:2], leaves)
    assert sentence(gather(tmp_path, name)) == (
        "Leaf 4, Claimed, cannot have happened then: it is claimed without an allow in the same append."
    )


def test_a_grant_that_was_lost_may_be_given_once_more(tmp_path):
    leaves = [*entry(1, GRANT, 0, [GIVEN]), *entry(2, GRANT, 1, [TAKEN_BACK]), *entry(3, GRANT, 0, [GIVEN])]
    write_log(tmp_path, GRANT[6:8], leaves)
    assert list(faults(gather(tmp_path, GRANT), KEY)) == []
    write_log(tmp_path, GRANT[6:8], [*leaves, *entry(4, GRANT, 1, [GIVEN])])
    assert "gives it twice" in sentence(gather(tmp_path, GRANT))


def test_a_long_fact_is_proved_by_its_digest(tmp_path):
    first = call(1)
    notices = tuple(replace(ASKED.notices[0], id=f"n-{number}", to=("x" * 60,)) for number in range(900))
    write_log(tmp_path, first.call.id[:2], leaves_of_life(first, HOLD, replace(ASKED, notices=notices)))
    found = gather(tmp_path, first.call.id)
    assert list(faults(found, KEY)) == [] and len(found.facts[2].data) > 65_535
    assert "is not in the log" in sentence(changed(found, 2, data=found.facts[2].data.replace(b"n-899", b"n-898")))
    assert isinstance(found.facts[2], Proven)
