"""Identity: what a person's yes is bound to, what makes two requests one, and who cannot meet whom."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import (
    PARTITIONS,
    Request,
    call_id,
    fingerprint,
    joined,
    key_pointer,
    match_digest,
    partition_of,
)
from tests.playbook import CALL, READ

REQUEST = Request(
    system="stripe",
    method="POST",
    target="/v1/refunds?a=1",
    headers=(("content-type", "application/json"), ("accept", "*/*")),
    body=b'{"amount":5}',
)
PRINTED: dict[str, Any] = {
    "salt": b"salt", "agent": "bot", "user": None, "origin": "https://a.example", "credential": "bearer:::env:KEY",
    "tool": "stripe.refund", "request": REQUEST, "declared_headers": (("stripe-account", "acct_1"),),
}  # fmt: skip
MATCHED: dict[str, Any] = {
    "key": b"deployment", "agent": "bot", "user": None, "run": None, "tool": "stripe.refund", "request": REQUEST,
    "declared_headers": (("stripe-account", "acct_1"),), "comparable_body": b'{"amount":5}',
}  # fmt: skip


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_no_two_lists_of_parts_are_joined_to_the_same_bytes(one, other):
    assert (joined(one) == joined(other)) == (one == other)


@given(st.lists(st.binary(min_size=1), min_size=2), st.data())
def test_moving_a_byte_between_parts_changes_what_is_joined(parts, data):
    index = data.draw(st.integers(0, len(parts) - 2))
    moved = [*parts]
    moved[index], moved[index + 1] = parts[index][:-1], parts[index][-1:] + parts[index + 1]
    assert joined(moved) != joined(parts)


FINGERPRINT_CHANGES = {
    "salt": {"salt": b"other"},
    "agent": {"agent": "bob"},
    "user": {"user": "ann"},
    "origin": {"origin": "https://b.example"},
    "credential": {"credential": "bearer:::env:OTHER"},
    "tool": {"tool": "stripe.refund2"},
    "system": {"request": replace(REQUEST, system="stripe2")},
    "method": {"request": replace(REQUEST, method="PUT")},
    "path": {"request": replace(REQUEST, target="/v1/refund?a=1")},
    "query": {"request": replace(REQUEST, target="/v1/refunds?a=2")},
    "body": {"request": replace(REQUEST, body=b'{"amount": 5}')},
    "content type": {"request": replace(REQUEST, headers=(("content-type", "text/plain"),))},
    "declared header": {"declared_headers": (("stripe-account", "acct_2"),)},
    "header for our key": {"key_header": "idempotency-key"},
    "no declared header": {"declared_headers": ()},
    "a byte moved from agent to user": {"agent": "bo", "user": "t"},
}


@pytest.mark.parametrize("change", FINGERPRINT_CHANGES.values(), ids=FINGERPRINT_CHANGES.keys())
def test_whatever_would_be_sent_otherwise_has_another_fingerprint(change):
    assert fingerprint(**PRINTED | change) != fingerprint(**PRINTED)


def test_headers_that_are_no_arguments_leave_the_fingerprint():
    other = replace(REQUEST, headers=(("content-type", "application/json"), ("user-agent", "sdk/2")))
    assert fingerprint(**PRINTED | {"request": other}) == fingerprint(**PRINTED)


def test_a_fingerprint_is_the_same_for_ever():
    """Held calls survive an upgrade: a changed format would void every vote."""
    assert fingerprint(**PRINTED) == "cba726650326a3c3c1febd8afd86332bea8a9a7b7fc7a2720d825009b7ff508f"
    assert match_digest(**MATCHED) == "d9575dba9a1b521db765abd0ba56fa3b08297e21147b005309aa85c0202a5363"


MATCH_CHANGES = {
    "key of the deployment": {"key": b"other"},
    "agent": {"agent": "bob"},
    "user": {"user": "ann"},
    "run": {"run": "run-1"},
    "tool": {"tool": "stripe.refund2"},
    "method": {"request": replace(REQUEST, method="PUT")},
    "target": {"request": replace(REQUEST, target="/v1/refunds")},
    "declared header": {"declared_headers": (("stripe-account", "acct_2"),)},
    "comparable body": {"comparable_body": b'{"amount":6}'},
    "a byte moved from user to run": {"user": "a", "run": "b"},
}


@pytest.mark.parametrize("change", MATCH_CHANGES.values(), ids=MATCH_CHANGES.keys())
def test_another_intent_has_another_match_digest(change):
    assert match_digest(**MATCHED | change) != match_digest(**MATCHED)
    swapped = {"user": "ab", "run": None}
    assert match_digest(**MATCHED | {"user": "a", "run": "b"}) != match_digest(**MATCHED | swapped)


def test_how_the_body_is_written_does_not_change_the_intent():
    other = replace(REQUEST, body=b'{ "amount" : 5 }', headers=())
    assert match_digest(**MATCHED | {"request": other}) == match_digest(**MATCHED)


@pytest.mark.parametrize("change", [{"agent": "b"}, {"user": "u"}, {"tool": "t2"}, {"key": "k2"}])
def test_a_key_belongs_to_one_agent_user_and_tool(change):
    scope: dict[str, Any] = {"agent": "a", "user": None, "tool": "t", "key": "k"}
    assert key_pointer(**scope | change) != key_pointer(**scope)


def test_a_byte_moved_between_the_parts_of_a_key_is_another_key():
    assert key_pointer(agent="ab", user="c", tool="t", key="k") != key_pointer(agent="a", user="bc", tool="t", key="k")
    assert key_pointer(agent="a", user=None, tool="tk", key="") != key_pointer(agent="a", user=None, tool="t", key="k")


@given(st.text(min_size=1))
def test_an_id_names_its_partition(agent):
    identity = call_id(agent, "ab" * 10)
    assert replace(CALL, id=identity).partition == partition_of(agent)
    assert 0 <= partition_of(agent) < PARTITIONS


def test_an_agent_stays_in_its_partition_for_ever():
    assert (partition_of("billing-bot"), partition_of("support-bot")) == (59, 61)


def test_a_header_is_found_by_its_lower_case_name():
    assert REQUEST.header("accept") == "*/*"
    assert REQUEST.header("x-none") == ""


def test_only_a_read_does_not_act():
    assert CALL.acts and not READ.acts and replace(CALL, effect="destructive").acts
