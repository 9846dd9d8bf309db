"""A receipt proves one call to somebody who has nothing else, and nothing that was changed in it passes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.receipts import NotAReceipt, checked
from gateway.ledger.files import LogFiles
from gateway.ledger.note import Signer
from tests.audit.typing_audit import KEY, typed
from tests.sealed_lives import ASKED, G1, G2, GRANT, HOLD, LIVES, NO, call, id_of, leaves_of_life, sealed
from tests.sealed_log import SIGNER, write_log

APPROVED = id_of("approved")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return sealed(tmp_path_factory.mktemp("ledger"))


@pytest.fixture(scope="module")
def receipt(ledger) -> dict[str, Any]:
    done = typed("receipt", APPROVED, "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 0 and done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def verified(told: object, *options: str):
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    return typed("verify-receipt", "-", *options, given=data)


@pytest.mark.parametrize("name", LIVES)
def test_every_life_has_a_receipt_that_proves_it(ledger, name):
    done = typed("receipt", id_of(name), "--ledger", ledger, "--key", KEY)
    checked_ = verified(done.stdout.encode(), "--key", KEY)
    assert checked_.exit_code == 0, checked_.stderr
    assert f"Verified: all {len(LIVES[name])} facts were sealed under the key that you gave." in checked_.stderr
    assert checked_.stdout.startswith(f"Call {id_of(name)}: ")


def test_it_tells_the_story_and_needs_no_log(receipt):
    done = verified(receipt, "--key", KEY)
    assert "ann said yes for finance" in done.stdout
    assert f"{G1}: loaded" in done.stdout and f"{G2}: loaded" in done.stdout
    assert "what happened to it after that checkpoint is not in here" in done.stdout
    document = json.loads(verified(receipt, "--key", KEY, "--json").stdout)
    assert document["proof"]["verified"] and document["proof"]["signature_checked_with"] == KEY
    assert len(document["facts"]) == 8


def test_a_grant_has_one_too(ledger):
    done = typed("receipt", GRANT, "--ledger", ledger, "--key", KEY)
    assert verified(done.stdout.encode(), "--key", KEY).exit_code == 0


def test_without_a_key_the_reader_is_told_to_compare(receipt):
    done = verified(receipt)
    assert done.exit_code == 0
    assert KEY in done.stderr and "Compare it with the one that you have from the operators" in done.stderr
    assert "Verified" not in done.stderr


def test_one_that_names_no_key(ledger):
    done = typed("receipt", APPROVED, "--ledger", ledger)
    assert done.exit_code == 1 and done.stdout == "" and done.stderr.startswith("No key was given")
    old = json.loads(typed("receipt", APPROVED, "--ledger", ledger, "--key", KEY).stdout)
    none = json.dumps(old | {"key": None}).encode()  # as earlier versions wrote it without a key
    assert verified(none, "--key", KEY).exit_code == 0
    done = verified(none)
    assert done.exit_code == 1 and "give the verifier key by --key" in done.stderr


def test_somebody_elses_key(receipt, tmp_path):
    other = Signer.new("gateway.test/audit")
    done = verified(receipt, "--key", str(other.verifier))
    assert done.exit_code == 1 and "This receipt proves nothing: The checkpoint is not signed" in done.stderr
    assert done.stdout == "", "a story that is not proved is not told"
    forged = sealed(tmp_path)
    for partition in ("59", "64"):
        write_log(forged, partition, list(LogFiles.open(forged, partition).leaves()), other)
    made = typed("receipt", APPROVED, "--ledger", forged, "--key", str(other.verifier)).stdout.encode()
    assert verified(made).exit_code == 0, "under its own key, which the reader is told to compare"
    assert verified(made, "--key", KEY).exit_code == 1


def test_nothing_is_written_of_what_is_not_proved(tmp_path):
    first = call(1)
    write_log(tmp_path, first.call.id[:2], leaves_of_life(first, HOLD, ASKED, NO, *LIVES["answered"][1:]))
    done = typed("receipt", first.call.id, "--ledger", tmp_path, "--key", KEY)
    assert done.exit_code == 1 and done.stdout == "" and "No receipt is written" in done.stderr


def changes(told: Any, path: tuple[Any, ...] = ()):
    """Every place in the document that can be changed, and something else in its stead."""
    items = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for key, each in items:
        yield from changes(each, (*path, key))
    if path:
        yield path


def put(told: Any, path: tuple[Any, ...], what: Any) -> Any:
    copy = json.loads(json.dumps(told))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if what is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = what
    return copy


HARMLESS = {("key",), ("generations",), ("facts", 7)}
"""Without these it says less, and that is proved all the same; whether more happened later, no receipt can tell."""


def test_whatever_is_changed_left_out_or_nonsense_is_noticed(receipt):
    for path in changes(receipt):
        old = receipt
        for key in path:
            old = old[key]
        odd: list[Any] = [..., None, [], {}, "", "x", 7, -1, 2**70, True, ["x"], {"a": 1}, [[[]]], "\ud800", 1.5]
        if isinstance(old, int):
            odd += [old + 1, old - 1]
        for what in odd:
            if what == old and type(what) is type(old):
                continue
            done = verified(put(receipt, path, what), "--key", KEY)
            assert done.stderr.count("Traceback") == 0
            if done.exit_code == 0:
                assert path in HARMLESS or (path[0] == "generations" and what is ... and path[-2:-1] == ("facts",)), (
                    path,
                    what,
                )
            else:
                assert done.exit_code == 1 and len(done.stderr.strip().splitlines()) == 1, (path, what, done.stderr)


@pytest.mark.parametrize(
    ("leaf", "why"),
    [
        ("[" * 70_000, "This is no receipt: a leaf of it is none"),
        ('{"at":1,"by":"","call":"x","entry":"1-0","fact":{"type":"Judged","verdict":"x"},"position":0}',
         "This receipt proves nothing: "),
    ],
)  # fmt: skip
def test_a_hostile_leaf_gets_one_sentence(receipt, leaf, why):
    done = verified(put(receipt, ("facts", 0, "leaf"), leaf), "--key", KEY)
    assert done.exit_code == 1 and done.stderr.startswith(why) and done.stderr.count("\n") == 1


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_character_counts(receipt, data):
    text = json.dumps(receipt).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != text[place]))
    changed = text[:place] + bytes([other]) + text[place + 1 :]
    try:
        if json.loads(changed) == receipt:
            return  # another spelling of the same
    except (ValueError, AttributeError):
        pass
    done = verified(changed, "--key", KEY)
    assert done.exit_code == 1 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"\0" * 100, b"[" * 100_000,
        b'{"format":"gateway-receipt-1"}',
        b'{"format":"gateway-receipt-2"}', b'{"a":' * 50_000, b'{"format":"gateway-receipt-1","format":"x"}',
        b'{"format":"gateway-receipt-1","id":"59abcd","key":null,"checkpoint":"","facts":[{}]}',
        b'{"format":"gateway-receipt-1","id":"../../etc/passwd"}',
        b'{"format":"gateway-receipt-1","id":"59\\u001b[31m","key":null,"checkpoint":"","facts":[],"generations":null}',
    ],
)  # fmt: skip
def test_hostile_files_get_one_sentence(data):
    for options in ((), ("--key", KEY)):
        done = verified(data, *options)
        assert done.exit_code == 1 and done.stdout == "" and "\x1b" not in done.stderr
        assert done.stderr.startswith("This is no receipt: ") and done.stderr.count("\n") == 1


def test_a_file_that_is_not_there(tmp_path):
    for place, why in ((tmp_path / "nowhere", "no such file"), (tmp_path, "is a directory"), ("a\0b", "null")):
        done = typed("verify-receipt", place)
        assert done.exit_code == 1 and done.stderr.startswith("The receipt ") and why in done.stderr


def test_a_file_that_is_too_long(monkeypatch, receipt):
    from gateway.audit import comparing

    monkeypatch.setattr(comparing, "MOST_BYTES", 1000)
    assert "more than 1000 bytes" in verified(receipt, "--key", KEY).stderr


def test_facts_that_were_swapped_left_out_or_taken_from_another(ledger, receipt):
    facts = receipt["facts"]
    for wrong in (facts[:-1][::-1], [*facts[:3], *facts[4:]], facts[1:], [*facts, facts[0]], facts * 2):
        assert verified(receipt | {"facts": wrong}, "--key", KEY).exit_code == 1
    shorter = verified(receipt | {"facts": facts[:3]}, "--key", KEY)
    assert shorter.exit_code == 0 and "only the log tells" in shorter.stdout, "a beginning is proved, as a beginning"
    other = json.loads(typed("receipt", id_of("answered"), "--ledger", ledger, "--key", KEY).stdout)
    assert verified(receipt | {"facts": other["facts"]}, "--key", KEY).exit_code == 1
    assert verified(receipt | {"id": id_of("answered")}, "--key", KEY).exit_code == 1
    assert verified(receipt | {"checkpoint": receipt["generations"]["checkpoint"]}, "--key", KEY).exit_code == 1


def test_one_member_twice_is_read_as_neither(receipt):
    text = json.dumps(receipt).replace('{"format"', '{"id": "other", "format"', 1)
    assert "This is no receipt: it is not JSON" in verified(text.encode(), "--key", KEY).stderr


def test_a_step_that_is_no_hash(receipt):
    facts = json.loads(json.dumps(receipt["facts"]))
    facts[0]["proof"][0] = "AAAA"
    assert "a step of a proof in it is not a hash" in verified(receipt | {"facts": facts}, "--key", KEY).stderr


def test_only_generations_that_judged_the_call_are_in_it(ledger):
    told = json.loads(typed("receipt", id_of("answered"), "--ledger", ledger, "--key", KEY).stdout)
    assert [json.loads(each["leaf"])["fact"]["generation"] for each in told["generations"]["facts"]] == [G1]


def test_generations_of_another_log_are_not_believed(receipt):
    wrong = receipt | {"generations": {"checkpoint": receipt["checkpoint"], "facts": receipt["facts"]}}
    assert verified(wrong, "--key", KEY).exit_code == 1


def test_the_check_itself_says_what_is_wrong(receipt):
    found, used = checked(json.dumps(receipt).encode(), None)
    assert str(used) == KEY and found.problems == () and found.generations == (G1, G2)
    with pytest.raises(NotAReceipt, match="its key is none"):
        checked(json.dumps(receipt | {"key": SIGNER.text()}).encode(), None)
