"""What leaves in a span: names, digests and numbers; no argument, no answer, no sentence anybody wrote."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, http_attributes, user_attributes
from opentelemetry.semconv.attributes import error_attributes, server_attributes, url_attributes
from opentelemetry.semconv.attributes import http_attributes as stable_http

from gateway.core import attributes as names
from gateway.core.call import Call
from gateway.core.fact_attributes import clean, of_call, of_exchange, of_fact, of_judging, of_outcome
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Attached,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Judged,
    Lost,
    Notice,
    Notified,
    Previewed,
    Recorded,
    Rejected,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Rung,
    Unsent,
    Viewed,
    Withdrawn,
)
from gateway.core.verdict import Lifted, Requirement, Verdict

SECRET = "4111-1111-1111-1111"
CALL = Call(
    id="17ab", agent="bot", user="ann", system="stripe", tool="stripe.create_refund", effect="write", method="POST",
    resource=f"Charge/{SECRET}", fingerprint="f", match="m", key="k", key_given=False, repeatable=False,
    keeps_ms=0, keep_ms=0, reason=f"refund for {SECRET}",
)  # fmt: skip
NEED = Requirement("finance", "p1", "t")
NOTICE = Notice(id="n", group="finance", channel=0)
RUNG = Rung(group="finance", after=1, kind="escalate", to=("p",))
ALL = (
    Admitted(call=CALL),
    Attached(key="k", keep=1),
    Judged(verdict=Verdict(decision="deny", reasons=(SECRET,), requirements=(NEED,)), generation="g", fingerprint="f"),
    Asked(fingerprint="f", requirements=(NEED,), notices=(), expire=1, ladder=(RUNG,)),
    Reminded(group="finance", notices=(NOTICE,)),
    Escalated(group="finance", to=("p",), notices=(NOTICE,)),
    Previewed(name="p", call="r", digest="d", bound="b", failed=SECRET, fingerprint="f", changed=("amount",)),
    Notified(notice="n", attempt=1, status=0, done=False, error=SECRET),
    Approved(by="p", group="finance", fingerprint="f", requirements=(NEED,), via="token", message="m", reason=SECRET),
    Retracted(by="p", group="finance", via="token", message="m"),
    Edited(by="p", group="finance", before="e", fingerprint="f", changed=("amount",), via="token", reason=SECRET),
    Rejected(by="p", group="finance", fingerprint="f", via="token", message="m", reason=SECRET),
    Cancelled(by="p", via="token", reason=SECRET),
    Expired(),
    Withdrawn(),
    Claimed(token=SECRET, fingerprint="f", lease=1),
    Unsent(token=SECRET, error=SECRET),
    Lost(token=SECRET, error=SECRET, status=504),
    Answered(token=SECRET, status=200, length=1, sha256="a"),
    Ended(length=1, sha256="a", whole=True),
    Abandoned(),
    Delivered(),
    Resolved(by="p", acted=True, note=SECRET),
    Reported(kind="call.finished", notices=(NOTICE,)),
    Recorded(part="input", how="redacted", digest="d", size=1, keep=1, masked=("card.number",)),
    Viewed(by="p", via="token", fingerprint="f"),
)


def test_every_kind_of_fact_is_here():
    assert {type(fact) for fact in ALL} == set(Fact.__args__)


@pytest.mark.parametrize("fact", ALL, ids=lambda fact: type(fact).__name__)
def test_free_text_and_arguments_never_leave(fact):
    found = [of_fact(fact, 0), of_outcome(fact, CALL), of_call(CALL), of_exchange(CALL, 1, "https://x")]
    assert SECRET not in repr([clean(values) for values in found])
    assert of_call(CALL)[names.RESOURCE_TYPE] == "Charge"


@pytest.mark.parametrize("fact", ALL, ids=lambda fact: type(fact).__name__)
def test_only_names_from_the_one_table_are_used(fact):
    table = {value for name, value in vars(names).items() if name.isupper()}
    found = (
        of_fact(fact, 0)
        | of_outcome(fact, CALL)
        | of_call(CALL)
        | of_exchange(replace(CALL, method="BREW"), 2, "http://x")
    )
    assert set(found) <= table


def test_names_that_have_a_standard_are_the_standard_ones():
    assert names.GEN_AI_OPERATION_NAME == gen_ai_attributes.GEN_AI_OPERATION_NAME
    assert names.GEN_AI_TOOL_NAME == gen_ai_attributes.GEN_AI_TOOL_NAME
    assert names.GEN_AI_TOOL_TYPE == gen_ai_attributes.GEN_AI_TOOL_TYPE
    assert names.GEN_AI_TOOL_CALL_ID == gen_ai_attributes.GEN_AI_TOOL_CALL_ID
    assert names.GEN_AI_AGENT_NAME == gen_ai_attributes.GEN_AI_AGENT_NAME
    assert names.HTTP_REQUEST_METHOD == stable_http.HTTP_REQUEST_METHOD
    assert names.HTTP_REQUEST_METHOD_ORIGINAL == stable_http.HTTP_REQUEST_METHOD_ORIGINAL
    assert names.HTTP_REQUEST_RESEND_COUNT == stable_http.HTTP_REQUEST_RESEND_COUNT
    assert names.HTTP_RESPONSE_STATUS_CODE == stable_http.HTTP_RESPONSE_STATUS_CODE
    assert names.HTTP_RESPONSE_BODY_SIZE == http_attributes.HTTP_RESPONSE_BODY_SIZE
    assert names.SERVER_ADDRESS == server_attributes.SERVER_ADDRESS
    assert names.SERVER_PORT == server_attributes.SERVER_PORT
    assert names.URL_SCHEME == url_attributes.URL_SCHEME
    assert names.ERROR_TYPE == error_attributes.ERROR_TYPE
    assert names.USER_ID == user_attributes.USER_ID


def test_the_page_about_traces_lists_exactly_the_names_there_are():
    page = (Path(__file__).parents[2] / "docs" / "traces.md").read_text()
    listed = set(re.findall(r"^\| `([a-z_0-9.]+\.[a-z_0-9.]+)`", page, re.MULTILINE))
    assert listed == {value for name, value in vars(names).items() if name.isupper() and name != "SCHEMA_URL"}


def test_a_method_that_nobody_knows_is_other_by_the_conventions():
    found = of_exchange(replace(CALL, method="BREW"), 1, "")
    assert found == {names.HTTP_REQUEST_METHOD: "_OTHER", names.HTTP_REQUEST_METHOD_ORIGINAL: "BREW"}


def test_text_that_no_encoder_takes_is_made_harmless():
    found = clean({"a": "x\ud800y", "b": ("\udfff",), "c": "z" * 5000, "d": "", "e": (), "f": 0, "g": False})
    assert found == {"a": "x?y", "b": ("?",), "c": "z" * 1000, "f": 0, "g": False}


def test_no_field_of_a_fact_is_forgotten_without_a_decision():
    """A new field fails here until somebody has decided whether it may leave the gateway."""
    decided = {
        "at", "attempt", "acted", "by", "call", "done", "expire", "fingerprint", "generation", "group", "keep", "kept",
        "key", "lease", "length", "message", "notice", "notices", "requirements", "sha256", "status", "token",
        "worker", "polled", "lacking", "ladder", "to", "on_behalf", "undo", "before", "changed", "kind", "receipt",
        "verdict", "via", "whole", "withheld", "error", "note", "reason",
        "name", "weighed", "digest", "bound", "failed", "again", "previews",
        "part", "how", "masked", "size", "why", "last", "resource",
    }  # fmt: skip
    assert {field.name for fact in ALL for field in fields(fact)} == decided


def test_a_verdict_names_the_standing_grants_that_lifted_a_forbid():
    lifted = (Lifted("grant-07ab", "over-50", ("ann", "bob")), Lifted("grant-07cd", "fraud", ("carl",)))
    fact = Judged(verdict=Verdict(decision="allow", granted=lifted), generation="g", fingerprint="f")
    assert of_judging(fact)[names.APPROVAL_GRANTS] == ("grant-07ab of ann, bob", "grant-07cd of carl")
    plain = of_judging(Judged(verdict=Verdict(decision="allow"), generation="g", fingerprint="f"))
    assert names.APPROVAL_GRANTS not in clean(plain)


def test_a_notice_names_the_digest_in_which_it_was_told():
    alone = Notified(notice="n", attempt=1, status=200, done=True)
    assert of_fact(replace(alone, digest="digest-ab"), 0) == of_fact(alone, 0) | {names.NOTICE_DIGEST: "digest-ab"}
