"""What leaves say, told one by one. Most of it is in `test_verifying`, through files."""

import pytest

from gateway.ledger.files import Damaged
from gateway.ledger.stories import Story, Wrong
from tests import possible_record as record
from tests.possible_record import EFFECT, LOADED, PARTITIONS, START


def no_long(digest: str) -> bytes:
    raise AssertionError(digest)


def test_a_story_counts_what_it_was_told():
    logs = record.leaves([*record.deployment(*LOADED), *record.of(EFFECT, 1), *record.granted("ann", "bob")])
    here, deployment = Story(PARTITIONS[0], no_long), Story("64", no_long)
    for index, leaf in enumerate(logs[PARTITIONS[0]]):
        here.tell(index, leaf)
    for index, leaf in enumerate(logs["64"]):
        deployment.tell(index, leaf)
    assert len(here.calls) == len(here.grants) == 1
    assert (here.first, here.last) == (START + 3000, START + 6000)
    [mention] = here.generations.values()
    assert (mention.index, mention.first, mention.last) == (1, START + 3000, START + 3000)
    assert deployment.loaded == {fact.generation for fact in LOADED} and deployment.recorded_since == START + 1000
    assert not here.begins_again and not deployment.losses


def test_an_append_that_was_numbered_before_the_one_in_front_of_it_is_noted():
    story = Story(PARTITIONS[0], no_long)
    first, second = (record.leaves(record.of(EFFECT, n))[PARTITIONS[0]][0] for n in range(2))
    story.tell(0, first)
    with pytest.raises(Wrong, match="share"):
        story.tell(1, second)  # another call, under the same append
    story = Story(PARTITIONS[0], no_long)
    story.tell(0, first.replace(b'-0"', b'-7"'))
    assert story.goes_back == []
    story.tell(1, second.replace(b'-0"', b'-6"'))
    assert story.goes_back == [1]


def test_a_long_leaf_that_cannot_be_read_is_damage():
    def missing(digest: str) -> bytes:
        raise Damaged(path, 0, digest)

    from pathlib import Path

    path = Path("long")
    leaf = b'{"at":1,"by":"","call":"%bx","digest":"%b","entry":"1-0","position":0,"size":70000}'
    with pytest.raises(Damaged):
        Story(PARTITIONS[0], missing).tell(0, leaf % (PARTITIONS[0].encode(), b"a" * 64))


def test_a_fact_stands_under_its_own_name():
    [admitted, *_] = record.leaves(record.of(EFFECT, 1))[PARTITIONS[0]]
    [given] = record.leaves(record.granted("ann"))[PARTITIONS[0]]
    other = b"%d" % 2
    with pytest.raises(Wrong, match=f"it admits {PARTITIONS[0]}{1:020x}, and stands under"):
        Story(PARTITIONS[0], no_long).tell(0, admitted.replace(b'1","entry"', other + b'","entry"', 1))
    with pytest.raises(Wrong, match="it is about grant-"):
        Story(PARTITIONS[0], no_long).tell(0, given.replace(b'1","position"', other + b'","position"', 1))


def test_no_fact_of_a_grant_or_of_the_deployment_is_left_out():
    [_, second] = record.leaves(record.granted("ann", "bob"))[PARTITIONS[0]]
    with pytest.raises(Wrong, match="fact 0 does not stand before it"):
        Story(PARTITIONS[0], no_long).tell(0, second)
    [_, second] = record.leaves(record.deployment(*LOADED))["64"]
    with pytest.raises(Wrong, match="fact 0 does not stand before it"):
        Story("64", no_long).tell(0, second)
