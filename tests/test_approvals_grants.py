"""Standing grants on a terminal: what is typed as a wish, and what is printed of a grant."""

import pytest

from gateway.approvals_grants import NotAWish, drafts, row, whole, wished

NOW = 1_795_000_000_000
DRAFT = {
    "grant": "grant-07ab", "until": "2026-11-20T18:00:00Z", "text": "permit (\x1b[2J);\n", "approval": "finance",
    "covers_this_call": True, "quorum": 1,
}  # fmt: skip
GRANT = {
    "grant": "grant-07ab", "state": "open", "agent": "bot", "tool": "bank.pay", "approval": "finance",
    "forbid": "large-\x1b[2J", "until": "2026-11-20T18:00:00Z", "revoked": None, "unused_because": None,
    "text": 'permit (\n  "\u202e"\n);\n',
    "given": [{"by": "lead", "at": "2026-11-20T10:00:00Z", "via": "by token", "call": "07aa"}],
}  # fmt: skip


def test_a_wish_has_bounds_what_is_free_and_an_end():
    assert wished(["amount=10000", "pages=0"], ["note"], "", "90m", NOW) == {
        "bounds": {"amount": 10_000, "pages": 0}, "free": ["note"], "until": "2026-11-18T12:36:40Z",
    }  # fmt: skip
    assert wished([], [], "2026-11-20T18:00:00+01:00", "", NOW)["until"] == "2026-11-20T18:00:00+01:00"


@pytest.mark.parametrize(
    ("up_to", "free", "until", "lasting", "said"),
    [
        ([], [], "", "", "say how long"), ([], [], "2026-11-20T18:00:00Z", "8h", "either by --for"),
        ([], [], "", "8", "--for must be a duration"), ([], [], "", "0s", "longer than zero"),
        (["amount"], [], "", "8h", "'amount' is not NAME=NUMBER"), (["=3"], [], "", "8h", "not NAME=NUMBER"),
        (["amount=-1"], [], "", "8h", "not NAME=NUMBER"), (["amount=10.5"], [], "", "8h", "not NAME=NUMBER"),
        (["amount=" + "9" * 30], [], "", "8h", "not NAME=NUMBER"), (["amount=1"], ["amount"], "", "8h", "name it once"),
    ],
)  # fmt: skip
def test_what_is_no_wish_says_what_one_looks_like(up_to, free, until, lasting, said):
    with pytest.raises(NotAWish, match=said):
        wished(up_to, free, until, lasting, NOW)


def test_a_draft_says_what_a_person_must_know_before():
    assert drafts([DRAFT]) == ["", "  you grant grant-07ab, until 2026-11-20T18:00:00Z:", r"    permit (\u001b[2J);"]
    said = drafts([DRAFT | {"covers_this_call": False, "quorum": 2}])
    assert "not have let this call through" in said[-2]
    assert "once 2 people of finance have given the same, with --until 2026-11-20T18:00:00Z" in said[-1]


def test_a_grant_in_a_list_and_whole():
    ended = {"state": "revoked", "text": None, "revoked": {"by": "second", "at": "2026-11-20T11:00:00Z"}}
    unused = {"unused_because": "the tool has changed"}
    assert row(GRANT) == (
        "grant-07ab", "open", "bot", "bank.pay", r"large-\u001b[2J", "2026-11-20T18:00:00Z", "lead",
    )  # fmt: skip
    assert row(GRANT | unused)[1] == "unused" and row(GRANT | ended | unused)[1] == "revoked"
    assert whole(GRANT) == [
        "grant-07ab: open, until 2026-11-20T18:00:00Z",
        "  lead gave it at 2026-11-20T10:00:00Z (by token), at call 07aa",
        "", "    permit (", r'      "\u202e"', "    );",
    ]  # fmt: skip
    assert "  it meets nothing: the tool has changed" in whole(GRANT | unused)
    over = whole(GRANT | ended | unused)
    assert "  second revoked it at 2026-11-20T11:00:00Z" in over and "not kept" in over[-1]
    assert not any("meets nothing" in line for line in over)
