"""What an anchor has not got yet, and how it is told."""

import orjson

from gateway.core.anchoring import changed, message


def test_only_what_changed_is_news():
    assert changed({"01": b"b", "00": b"a"}, {}) == {"00": b"a", "01": b"b"}
    assert changed({"00": b"a", "01": b"c"}, {"00": b"a", "01": b"b"}) == {"01": b"c"}
    assert changed({"00": b"a"}, {"00": b"a", "01": b"b"}) == {}


def test_the_message_has_the_notes_as_they_are():
    told = orjson.loads(message({"00": "x\n\n— y z\n".encode()}, "gateway.example", 1_795_168_800_000))
    assert told == {
        "type": "ledger.checkpoints",
        "timestamp": "2026-11-20T10:00:00Z",
        "data": {"origin": "gateway.example", "checkpoints": ["x\n\n— y z\n"]},
    }
