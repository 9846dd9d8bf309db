"""Two calls side by side, and what was asked against what was executed."""

from dataclasses import replace

import pytest

from gateway.audit.differences import asked_and_executed, side_by_side
from tests.audit.typing_audit import KEY, told, typed
from tests.sealed_lives import ALLOW, CLAIM, EDITED, GRANT, LIVES, PRINT, call, id_of, sealed


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return sealed(tmp_path_factory.mktemp("ledger"))


def differing(one, other):
    return {line.about: (line.one, line.other) for line in side_by_side(LIVES[one], LIVES[other]) if line.differs}


def test_a_call_does_not_differ_from_itself():
    for life in LIVES.values():
        assert not any(line.differs for line in side_by_side(life, life))


def test_what_differs_and_only_that():
    found = differing("answered", "approved")
    assert set(found) == {"user", "run", "agent's own words", "verdicts", "generations", "asked", "decided", "facts"}
    assert found["decided"] == ("-", "ann yes for finance")
    assert found["user"] == ("-", "eve@acme.example")
    assert found["verdicts"] == ("allow by ops-may", "hold by over-50; allow by ops-may, over-50")
    assert differing("approved", "edited")["request sent"] == (PRINT, EDITED)
    assert differing("answered", "read")["answer"] == ("200", "404")
    assert differing("expired", "rejected")["decided"] == ("-", "bob no for finance")
    assert differing("in doubt", "settled")["state"] == ("in doubt", "settled")


@pytest.mark.parametrize(
    ("life", "said"),
    [
        (LIVES["answered"], "What was sent is exactly what was asked for."),
        (
            LIVES["edited"],
            "What was sent is what people made of it. Other than asked for: amount. All else is the same.",
        ),
        (LIVES["denied"], "Nothing was sent."),
        (LIVES["held"], "Nothing was sent."),
        (LIVES["read"], "It was a read, sent as it was asked for."),
        ((call(1), replace(ALLOW, fingerprint=EDITED), replace(CLAIM, fingerprint=EDITED)), "no edit explains it"),
        ((*LIVES["edited"][:4], ALLOW, CLAIM), "exactly what was asked for"),
        ((*LIVES["edited"][:4], ALLOW, replace(CLAIM, fingerprint="d" * 64)), "no edit explains it"),
    ],
)
def test_what_was_asked_against_what_was_executed(life, said):
    assert said in list(asked_and_executed(life))[-1]


def test_typed(ledger):
    done = typed("diff", id_of("edited"), "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"asked for  {PRINT}" and lines[-2] == f"sent       {EDITED}"
    assert "ann, for finance, changed amount" in lines[1]
    done = typed("diff", id_of("edited"), id_of("approved"), "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 0 and "lines differ (*)" in done.stderr
    assert done.stdout.splitlines()[0].split() == [id_of("edited"), id_of("approved")]
    assert any(line.startswith("*  request sent") and "bbbbbbbbbbbb..." in line for line in done.stdout.splitlines())
    assert any(line.startswith("   agent ") for line in done.stdout.splitlines())
    rows = told("diff", id_of("edited"), id_of("approved"), "--ledger", ledger, "--key", KEY)
    assert {"about": "request sent", "one": EDITED, "other": PRINT, "differs": True} in rows


def test_what_cannot_be_compared(ledger):
    assert "is a grant; only calls are compared" in typed("diff", GRANT, "--ledger", ledger, "--key", KEY).stderr
    done = typed("diff", id_of("edited"), "5911111111", "--ledger", ledger, "--key", KEY)
    assert done.exit_code == 1 and 'No call and no grant begins with "5911111111"' in done.stderr
    done = typed("diff", id_of("edited"), "--ledger", ledger)
    assert done.exit_code == 1 and done.stdout == "" and done.stderr.startswith("No key was given")


def test_words_in_it_are_harmless():
    evil = call(1, reason="a\x1b[2J", run="x\u202ey", resource='q"\n')
    for line in side_by_side((evil,), (call(2),)):
        assert "\x1b" not in "".join(line) and "\n" not in "".join(line) and "\u202e" not in "".join(line)
