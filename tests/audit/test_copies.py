"""What is kept of a call is shown to whoever names the keys, and only if it is what the log has the digest of."""

import base64
import hashlib
from dataclasses import replace

import pytest

from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.payload_store import LedgerFolder, PayloadStore
from gateway.core.deployment import Erased
from gateway.core.facts import Recorded
from gateway.core.kept import kept_as
from gateway.core.payload import Answer, pack_answer
from gateway.core.times import moment
from tests.audit.typing_audit import KEY, told, typed
from tests.sealed_lives import ALLOW, ANSWER, CLAIM, START, call, leaves_of_life
from tests.sealed_log import entry, write_log

LATER = START + 99_000
SALT, SECRET = b"s" * 16, b"k" * 32
INPUT = b'{"amount":"seven","iban":"[masked]","note":"\\u001b[31m \xe2\x80\xae"}'
OUTPUT = pack_answer(Answer(status=200, headers=(), body=b'{"id":"re_1"}'))
FIRST = call(1)
NAME = FIRST.call.id


def recorded(part, how, data, **more):
    digest = hashlib.sha256(SALT + data).hexdigest()
    return Recorded(part=part, how=how, digest=digest, size=len(data), keep=86_400_000, **more)


FACTS = (
    recorded("input", "redacted", INPUT, masked=("iban",)), recorded("output", "full", OUTPUT),
    Recorded(part="edited", how="digest", why="these arguments have no JSON form"),
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    """With two copies beside it, and the keys in its parent."""
    folder = tmp_path / "ledger"
    write_log(folder, NAME[:2], leaves_of_life(FIRST, FACTS[0], FACTS[2], ALLOW, CLAIM, ANSWER, FACTS[1]))
    (tmp_path / "payload.keys").write_text(base64.b64encode(SECRET).decode() + "\n")
    for fact, data in zip(FACTS, (INPUT, OUTPUT), strict=False):
        keep(folder, fact, SALT + data)
    return folder


def keep(folder, fact, data, key=SECRET):
    copy = kept_as(NAME, replace(fact, at=START))
    sealed = PayloadCipher((key,)).seal(NAME, copy.field, data)
    PayloadStore(LedgerFolder(folder)).put(replace(copy, sealed=sealed))


def shown(ledger, *options):
    return typed("show", NAME, "--ledger", ledger, "--key", KEY, *options)


def test_copies_are_shown_to_whoever_names_the_keys(ledger):
    done = shown(ledger, "--payload-keys", ledger.parent / "payload.keys")
    assert done.exit_code == 0
    said = done.stdout.partition("Copies that are kept, decrypted\n")[2]
    assert "what was asked: " in said and "seven" in said and "[masked]" in said
    assert 'what was answered: status 200, "{\\"id\\":\\"re_1\\"}"' in said
    assert "what people made of it: (these arguments have no JSON form)" in said
    assert "\x1b" not in said and "\u202e" not in said
    document = told("show", NAME, "--ledger", ledger, "--key", KEY, "--payload-keys", ledger.parent / "payload.keys")
    assert [(each["part"], bool(each["text"])) for each in document["copies"]] == [
        ("input", True), ("edited", False), ("output", True),
    ]  # fmt: skip


def test_what_was_erased_is_said_with_who_had_it_done_and_where_that_stands(ledger):
    for copy in (ledger / "payloads").rglob("*.*"):
        copy.unlink()
    keys = ("--payload-keys", ledger.parent / "payload.keys")
    assert shown(ledger, *keys).stdout.count("it was removed from these files") == 2, "and by whom nobody says"
    said = f'erased {moment(LATER)} at the word of dpo: "she asked" (log 64, leaf 2)'
    before = Erased(by="early", reason="", calls=(NAME,), at=START - 1)
    others = Erased(by="coo", reason="of others", calls=("other",), at=LATER - 1)
    facts = (before, others, Erased(by="dpo", reason="she asked", calls=("other", NAME), at=LATER))
    write_log(ledger, "64", [leaf for n, fact in enumerate(facts) for leaf in entry(n, "deployment", n, [fact])])
    done = shown(ledger, *keys)
    assert done.exit_code == 0 and done.stdout.count(f"(it was {said})") == 2
    story = done.stdout.partition("Copies that are kept")[0]
    assert story.count(said) == 2 and "until " not in story and "early" not in story
    data = next((ledger / "64" / "tile" / "entries").rglob("*.p/*"))
    data.write_bytes(data.read_bytes().replace(b'"by":"dpo"', b'"by":"cfo"'))
    done = shown(ledger)
    assert done.exit_code == 1 and "This is not proved: Of the erasure in log 64, leaf 2: " in done.stderr


def test_without_the_keys_only_that_there_are_some(ledger):
    done = shown(ledger)
    assert "a copy of what was asked, without iban" in done.stdout and "Copies" not in done.stdout
    assert "seven" not in done.stdout and "copies" not in told("show", NAME, "--ledger", ledger, "--key", KEY)


def test_a_copy_that_is_not_the_recorded_one_is_not_shown(ledger):
    keep(ledger, FACTS[0], SALT + INPUT.replace(b"seven", b"eight"))
    done = shown(ledger, "--payload-keys", ledger.parent / "payload.keys")
    assert done.exit_code == 1 and "eight" not in done.stdout
    assert "is not what the log has the digest of" in done.stdout and "is not what the log has" in done.stderr


def test_a_copy_that_is_gone_or_sealed_with_another_key(ledger):
    keep(ledger, FACTS[0], SALT + INPUT, key=b"x" * 32)
    PayloadStore(LedgerFolder(ledger)).forget(kept_as(NAME, replace(FACTS[1], at=START)))
    done = shown(ledger, "--payload-keys", ledger.parent / "payload.keys")
    assert done.exit_code == 0, "the record is proved all the same"
    assert "does not have" in done.stdout and "it is not here: its time is over" in done.stdout


def test_a_copy_in_the_place_of_another_is_wrong(ledger):
    asked, answered = (kept_as(NAME, replace(fact, at=START)) for fact in FACTS[:2])
    sealed = PayloadCipher((SECRET,)).seal(NAME, answered.field, SALT + OUTPUT)
    PayloadStore(LedgerFolder(ledger)).put(replace(asked, sealed=sealed))
    done = shown(ledger, "--payload-keys", ledger.parent / "payload.keys")
    assert done.exit_code == 1 and "put in another's place" in done.stdout


def test_keys_that_are_none(ledger, tmp_path):
    (tmp_path / "bad").write_text("nonsense")
    for file, said in ((tmp_path / "bad", "no payload key"), (tmp_path / "nowhere", "is missing")):
        done = shown(ledger, "--payload-keys", file)
        assert done.exit_code == 1 and done.stdout == "" and said in done.stderr


def test_a_call_of_which_nothing_is_kept(ledger):
    other = call(2)
    write_log(ledger, NAME[:2], leaves_of_life(other, ALLOW, CLAIM, ANSWER))
    done = typed(
        "show", other.call.id, "--ledger", ledger, "--key", KEY, "--payload-keys", ledger.parent / "payload.keys"
    )
    assert "none: the tool's `record:` asks for none" in done.stdout
