"""What is sealed is what was journalled, byte for byte, and nothing else can be read as a leaf."""

import dataclasses
import hashlib
from pathlib import Path

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.codec import UnreadableFact, decode, encode, envelope
from gateway.core.deployment import DEPLOYMENT, AgentSuspended, Loaded, LoadedFile
from gateway.core.leaf import MOST_BYTES, NotALeaf, entry_order, leaves_of, read_leaf, short
from tests.core.test_codec import EVERY_FACT, GOLDEN, GOLDEN_GRANTS, SAFE

CALL = b"07abababababababababab"


def fields(*envelopes: bytes, about: bytes = b"call", name: bytes = CALL, first: int = 0) -> dict[bytes, bytes]:
    return {about: name, b"from": b"%d" % first, b"facts": b"\n".join(envelopes)}


def test_a_leaf_is_the_journalled_bytes_with_their_place():
    [leaf] = leaves_of(b"17-3", fields(b'{"at":5,"by":"ab","fact":{"type":"Expired"}}', first=4))
    assert leaf == (
        b'{"at":5,"by":"ab","call":"07abababababababababab","entry":"17-3","fact":{"type":"Expired"},"position":4}'
    )
    found = read_leaf(leaf)
    assert (found.at, found.by, found.about, found.name, found.entry, found.position) == (
        5, "ab", "call", CALL.decode(), "17-3", 4,
    )  # fmt: skip
    assert found.order == (17, 3) == entry_order("17-3")


@given(st.lists(EVERY_FACT, min_size=1, max_size=4), st.integers(0, 99), st.integers(0, SAFE))
def test_every_fact_keeps_its_bytes_and_is_canonical(facts, first, at):
    envelopes = [envelope(encode(fact), at, "0123456789abcdef") for fact in facts]
    leaves = leaves_of(b"1795168800000-0", fields(*envelopes, first=first))
    for number, (leaf, original, fact) in enumerate(zip(leaves, envelopes, facts, strict=True)):
        assert leaf == rfc8785.dumps(orjson.loads(leaf))
        found = read_leaf(leaf)
        assert found.envelope == original
        assert found.position == first + number
        assert found.fact() == decode(original) == dataclasses.replace(fact, at=at)


@pytest.mark.parametrize("line", [*GOLDEN, *GOLDEN_GRANTS])
def test_every_fact_that_was_ever_written_can_be_sealed(line):
    grant = line in GOLDEN_GRANTS
    about, name = (b"grant", b"grant-07ab") if grant else (b"call", CALL)
    [leaf] = leaves_of(b"1-0", fields(line, about=about, name=name))
    assert read_leaf(leaf).envelope == line
    read_leaf(leaf).fact()


def test_the_deployment_has_facts_of_its_own():
    facts = (
        Loaded(generation="ab" * 32, files=(LoadedFile(name="routes.yaml", sha256="cd" * 32),), version="1", at=7),
        AgentSuspended(agent="billing-bot", by="support-lead", at=7),
    )
    for fact in facts:
        stored = envelope(encode(fact), 7, "ab")
        [leaf] = leaves_of(b"1-0", fields(stored, about=b"gateway", name=b"deployment"))
        assert read_leaf(leaf).fact() == fact
        assert leaf == rfc8785.dumps(orjson.loads(leaf))
    assert DEPLOYMENT == "64"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({b"from": b"0", b"facts": b"x"}, "about no call"),
        (fields(b'{"at":5}'), "not a fact"),
        (fields(b'{"at":5,"by":"ab","fact":{"type":"Expired"}'), "not a fact"),
    ],
)
def test_what_is_no_entry_is_not_sealed(entry, why):
    with pytest.raises(NotALeaf, match=why):
        leaves_of(b"1-0", entry)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_leaf_or_refused(data):
    with pytest.raises(NotALeaf):
        read_leaf(data)


@given(EVERY_FACT, st.data())
def test_a_changed_byte_is_another_leaf_or_none(fact, data):
    [leaf] = leaves_of(b"17-3", fields(envelope(encode(fact), 5, "ab")))
    place = data.draw(st.integers(0, len(leaf) - 1))
    changed = bytearray(leaf)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read_leaf(bytes(changed))
    except NotALeaf:
        return
    assert found != read_leaf(leaf)


GOOD = b'{"at":5,"by":"ab","call":"07ab","entry":"17-3","fact":{"type":"Expired"},"position":4}'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"at":5', b'"at":5.0'),
        (b'"at":5', b'"at":-5'),
        (b'"at":5', b'"at":true'),
        (b'"at":5,', b'"at": 5,'),
        (b'"at":5,"by":"ab"', b'"by":"ab","at":5'),
        (b'"17-3"', b'"017-3"'),
        (b'"17-3"', b'"17"'),
        (b'"position":4', b'"position":"4"'),
        (b'"position":4', b'"position":4,"zeal":1'),
        (b'"call":"07ab"', b'"call":""'),
        (b'"call":"07ab"', b'"call":"07ab","grant":"x"'),
        (b'"call":"07ab",', b""),
        (b'"call":"07ab"', b'"call":"07\\u0061b"'),
    ],
)
def test_only_what_the_gateway_would_write_is_read(old, new):
    assert read_leaf(GOOD).position == 4
    assert old in GOOD
    with pytest.raises(NotALeaf):
        read_leaf(GOOD.replace(old, new))


def test_a_leaf_that_is_too_long_is_named_by_its_digest():
    reason = "x" * MOST_BYTES
    [leaf] = leaves_of(b"17-3", fields(b'{"at":5,"by":"ab","fact":{"error":"%b","type":"Lost"}}' % reason.encode()))
    stands = short(leaf)
    assert len(stands) < 400 and stands == rfc8785.dumps(orjson.loads(stands))
    found = read_leaf(stands)
    assert (found.digest, found.size) == (hashlib.sha256(leaf).hexdigest(), len(leaf))
    assert (found.name, found.entry, found.position) == (CALL.decode(), "17-3", 0)
    with pytest.raises(UnreadableFact, match="too long"):
        found.fact()
    whole = read_leaf(leaf)
    assert (whole.name, whole.position) == (found.name, found.position)
    assert whole.envelope


def test_a_leaf_that_just_fits_stands_in_the_log():
    def made(length: int) -> bytes:
        text = b'{"at":5,"by":"ab","fact":{"error":"%b","type":"Lost"}}' % (b"x" * length)
        return leaves_of(b"17-3", fields(text))[0]

    room = MOST_BYTES - len(made(0))
    assert short(made(room)) == made(room)
    assert len(short(made(room + 1))) < MOST_BYTES


def test_the_golden_leaf():
    """The format of leaves is for ever: a log that was sealed by any version must verify."""
    golden = (Path(__file__).parent / "golden" / "leaf.json").read_bytes()
    assert read_leaf(golden).position == 3
