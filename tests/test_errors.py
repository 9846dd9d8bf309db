"""Every error: one shape, a stable slug, a sentence that says what was done, and a line in docs/errors.md."""

import re
from pathlib import Path

import pytest

from gateway import errors
from gateway.core.verdict import Verdict
from gateway.wire.problem import document

EXAMPLES = [
    errors.AmbiguousRequest("the path has an empty segment (//)"),
    errors.MethodNotAllowed("TRACE", {"POST", "GET"}),
    errors.TooLarge("request body", 10, "GATEWAY_BODY_LIMIT"),
    errors.TooLarge.held_body(1024),
    errors.UnsupportedEncoding("gzip"),
    errors.UnsupportedMediaType("text/plain", "application/json", "stripe.create_refund"),
    errors.Misdirected("api.stripe.com", "stripe"),
    errors.InvalidArguments("stripe.create_refund", [("body.amount", "it is required")]),
    errors.IdempotencyKeyReused("01aa"),
    errors.UnknownCall("01aa"),
    errors.NotHeld("01aa"),
    errors.RequesterGone(),
    errors.TooSlow(60.0),
    errors.GatewayCredential(presented=False),
    errors.AgentSuspended("billing-bot"),
    errors.UnknownTool("GET", "/v1/x", ["stripe.get_charge (GET /v1/charges/{charge})"]),
    errors.PolicyDenied(["Refunds over 1,000 are never allowed."], tool="stripe.create_refund"),
    errors.PolicyDenied(code="no-permit"),
    errors.ApprovalRejected("01aa", ["finance"], "not this customer"),
    errors.ApprovalExpired("01aa", ["finance"], "2026-11-20T10:00:00Z"),
    errors.CallCancelled("01aa", "olga", "The run was stopped."),
    errors.CallWithdrawn("01aa"),
    errors.ApprovalPending("01aa", ["finance", "legal"], "2026-11-20T10:00:00Z"),
    errors.CallInProgress("01aa"),
    errors.TooMany("requests by this agent", retry_seconds=5),
    errors.TooManyQuestions("billing-bot", 20, "60 min", retry_seconds=90),
    errors.TooMuchStored("billing-bot", 1024**3, retry_seconds=90),
    errors.UpstreamUnreachable("stripe", call="01aa"),
    errors.ReadFailed("stripe", call="01aa"),
    errors.FoundNotDone("01aa"),
    errors.JournalUnavailable(),
    errors.PoliciesUnavailable(),
    errors.AnswerNotKept("01aa", upstream_status=200, sha256="ab", length=7),
    errors.CredentialEchoed("stripe", call="01aa"),
    errors.OutcomeUnknown("01aa", "stripe"),
    errors.OutcomeUnknown.unrecorded("01aa"),
]
FAMILIES = set(errors.GatewayError.__subclasses__())
CONCRETE = {
    cls for family in FAMILIES for cls in family.__subclasses__() if cls.__module__.startswith("gateway.errors.")
}
"""Those that agents see; the control plane has its own."""
NOT_EXECUTED = [
    error for error in EXAMPLES if isinstance(error, errors.RequestRefused | errors.AccessDenied | errors.Unavailable)
]


def test_every_error_has_an_example_here():
    assert {type(error) for error in EXAMPLES} == CONCRETE


def test_slugs_are_unique_and_never_change():
    """A slug is a promise to agents; renaming one is a new major version."""
    assert sorted((cls.slug, cls.status) for cls in CONCRETE) == [
        ("agent-suspended", 403),
        ("ambiguous-request", 400),
        ("answer-not-kept", 410),
        ("approval-expired", 403),
        ("approval-pending", 409),
        ("approval-rejected", 403),
        ("call-cancelled", 403),
        ("call-in-progress", 409),
        ("call-withdrawn", 403),
        ("credential-echoed", 502),
        ("found-not-done", 502),
        ("gateway-credential", 401),
        ("idempotency-key-reused", 422),
        ("invalid-arguments", 422),
        ("journal-unavailable", 503),
        ("method-not-allowed", 405),
        ("misdirected", 421),
        ("not-held", 409),
        ("outcome-unknown", 502),
        ("policies-unavailable", 503),
        ("policy-denied", 403),
        ("read-failed", 502),
        ("requester-gone", 499),
        ("too-large", 413),
        ("too-many", 429),
        ("too-many-questions", 429),
        ("too-much-stored", 429),
        ("too-slow", 408),
        ("unknown-call", 404),
        ("unknown-tool", 403),
        ("unsupported-encoding", 415),
        ("unsupported-media-type", 415),
        ("upstream-unreachable", 502),
    ]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.slug)
def test_every_error_has_the_same_shape(error):
    found = document(error)
    assert set(found) >= {"type", "title", "status", "detail", "call", "retryable", "message", "error"}
    assert found["type"] == f"urn:gateway:{error.slug}"
    assert found["message"] == found["detail"] == found["error"]["message"] == str(error)
    assert found["error"]["code"] == error.slug
    assert found["title"] != errors.GatewayError.title


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.slug)
def test_every_sentence_is_finished_and_readable(error):
    assert re.fullmatch(r"[A-Z`0-9a-z].*[.]", error.detail, re.DOTALL)
    assert "  " not in error.detail and ".." not in error.detail.replace("...", "")


@pytest.mark.parametrize("error", NOT_EXECUTED, ids=lambda error: error.slug)
def test_an_error_before_sending_says_that_nothing_was_executed(error):
    said = error.detail.lower()
    harmless = (
        "nothing was executed",
        "was not executed",
        "you have no call",
        "a read changes nothing",
        "nothing was changed",
    )
    assert any(words in said for words in harmless)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = dict(re.findall(r"[├└]── (\w+) +(\d{3})", errors.__doc__ or ""))
    assert drawn == {cls.__name__: str(cls.status) for cls in CONCRETE}


def test_the_documentation_lists_every_error_with_its_status():
    text = Path(__file__).parent.parent.joinpath("docs/errors.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", text, re.MULTILINE))
    assert rows == {cls.slug: str(cls.status) for cls in CONCRETE}


def test_a_pending_approval_says_everything_that_a_model_needs():
    detail = errors.ApprovalPending("01aa", ["finance"], "2026-11-20T10:00:00Z").detail
    for part in (
        "approval by finance",
        "nothing has been executed",
        "Do not change",
        "GET /calls/01aa",
        "30 seconds",
        "expires at 2026-11-20T10:00:00Z",
    ):
        assert part in detail


def test_a_denial_carries_the_reasons_of_its_policies():
    verdict = Verdict(decision="deny", policies=("p1",), reasons=("Never on Sundays.",))
    error = errors.PolicyDenied.of(verdict, tool="stripe.create_refund", call="01aa")
    assert "stripe.create_refund was denied: Never on Sundays." in error.detail
    assert error.members["reasons"] == ["Never on Sundays."]
    assert error.call == "01aa"


def test_many_problems_are_all_listed_but_not_all_told():
    problems = [(f"body.f{number}", "it is required") for number in range(9)]
    error = errors.InvalidArguments("s.t", problems)
    assert "body.f4" in error.detail and "body.f5" not in error.detail and "(and 4 more)" in error.detail
    assert len(error.members["errors"]) == 9
