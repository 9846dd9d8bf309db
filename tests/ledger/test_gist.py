"""How a call stands is guessed from few facts only where the state machine would say the same."""

from dataclasses import replace
from itertools import product

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.codec import encode
from gateway.core.facts import (
    Admitted,
    Approved,
    Attached,
    Ended,
    Escalated,
    Fact,
    Notified,
    Previewed,
    Recorded,
    Reminded,
    Reported,
    Viewed,
)
from gateway.core.record import recall
from gateway.core.timeline import state
from gateway.ledger.gist import NEUTRAL, UNREADABLE, Gist, outcome_of, quick_outcome
from tests.sealed_lives import EDIT, FINDS, LIVES
from tests.sealed_log import entry

QUIET: dict[str, Fact] = {
    "Attached": Attached(key="k", keep=1),
    "Notified": Notified(notice="n-1", attempt=1, status=200, done=True),
    "Reminded": Reminded(group="finance", notices=()),
    "Escalated": Escalated(group="finance", to=("cfo",), notices=()),
    "Reported": Reported(kind="call.finished", notices=()),
    "Ended": Ended(length=1, sha256="c" * 64, whole=True),
    "Recorded": Recorded(part="input", how="full", digest="d" * 64, size=9, keep=1),
    "Viewed": Viewed(by="ann", via="token", fingerprint="f" * 64),
    "Abandoned": LIVES["in doubt"][-1],
    "Delivered": LIVES["answered"][-1],
}


def test_who_only_looked_is_not_among_those_who_decided():
    gist = Gist("07ab", "call")
    for index, fact in enumerate(
        (
            Viewed(by="audrey", via="token", fingerprint="f"),
            Approved(by="alice", group="finance", fingerprint="f", requirements=(), via="token", on_behalf="bob"),
        )
    ):
        gist.tell(index, {"at": 1, "fact": plain(fact)})
    assert gist.people == ["alice", "bob"]


def test_what_a_call_is_about_is_what_a_person_made_of_it():
    admitted = LIVES["answered"][0]
    assert isinstance(admitted, Admitted)

    def about(*resources):
        gist = Gist("07ab", "call")
        for index, fact in enumerate((admitted, *(replace(EDIT, resource=each) for each in resources))):
            gist.tell(index, {"at": 1, "fact": plain(fact)})
        return gist.resource, gist.resources

    asked = admitted.call.resource
    assert about("") == (asked, [asked]) and about("Charge/ch_9") == ("Charge/ch_9", [asked, "Charge/ch_9"])
    assert about("Charge/ch_9", "", "Charge/ch_8") == ("Charge/ch_8", [asked, "Charge/ch_9", "Charge/ch_8"])
    assert about("Charge/ch_9", asked) == (asked, [asked, "Charge/ch_9"])


def plain(fact):
    return orjson.loads(encode(fact))


def in_steps(facts, *cuts):
    """The outcome as an index finds it that looked after each of these cuts."""
    found, start = "", 0
    for cut in (*cuts, len(facts)):
        if cut > start:
            whole = (leaf for place, fact in enumerate(facts[:cut]) for leaf in entry(place, "07ab", place, [fact]))
            found = quick_outcome(found, [plain(fact) for fact in facts[start:cut]]) or outcome_of(whole)
            start = cut
    return found


@pytest.mark.parametrize("name", LIVES)
def test_the_outcome_of_every_life_whenever_the_index_looks(name):
    life = LIVES[name]
    expected = state(recall(life))
    assert expected == FINDS.get(name, name)
    for first, second in product(range(1, len(life) + 1), repeat=2):
        assert in_steps(life, first, second) == expected


def test_every_fact_that_is_said_to_change_nothing_changes_nothing():
    assert set(QUIET) == NEUTRAL
    for life in LIVES.values():
        for cut in range(1, len(life) + 1):
            before = state(recall(life[:cut]))
            for name, fact in QUIET.items():
                assert state(recall((*life[:cut], fact))) == before, name


@given(st.sampled_from(list(LIVES.values())), st.lists(st.sampled_from(list(QUIET.values())), max_size=3), st.data())
def test_facts_in_between_do_not_change_what_is_found(life, quiet, data):
    for fact in quiet:
        place = data.draw(st.integers(1, len(life)))
        life = (*life[:place], fact, *life[place:])
    cut = data.draw(st.integers(1, len(life)))
    assert in_steps(life, cut) == state(recall(life))


def test_most_lives_are_plain_without_the_state_machine():
    life = [plain(fact) for fact in LIVES["answered"]]
    assert quick_outcome("", life) == "answered"
    assert quick_outcome("answered", [plain(LIVES["rejected"][-1])]) == "answered", "nothing takes it back"
    assert quick_outcome("", life[:2]) == "judging"
    assert quick_outcome("", [plain(LIVES["answered"][-1])]) == "", "of what began before, nothing is known"
    assert quick_outcome("held", [plain(LIVES["rejected"][-1])]) == ""


def test_a_preview_that_failed_is_left_to_the_state_machine():
    failed = Previewed(name="charge", call="", digest="", bound="", failed="no", fingerprint="f", again=True)
    assert quick_outcome("held", [plain(failed)]) == ""


def test_what_cannot_be_read_is_said_to_be_so():
    assert outcome_of([b"{}"]) == UNREADABLE
    [leaf] = entry(1, "07ab", 0, [LIVES["answered"][1]])
    assert outcome_of([leaf]) == UNREADABLE, "a life begins with its admission"


@pytest.mark.parametrize("odd", [None, 7, [1], {"a": 1}])
def test_nonsense_in_a_forged_record_is_no_outcome(odd):
    admitted = {"type": "Admitted"}
    assert quick_outcome("", [admitted, {"type": "Judged", "verdict": {"decision": odd}}]) == ""
    assert quick_outcome("", [admitted, {"type": "Judged", "verdict": {}}]) == ""
    assert quick_outcome("held", [{"type": odd}]) == ""
