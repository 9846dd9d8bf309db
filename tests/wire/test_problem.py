"""What leaves the gateway for an error, and that real SDKs show its sentence (design section 8)."""

import http.server
import json
import threading
from typing import Any

import github
import openai
import pytest
import stripe

from gateway import errors
from gateway.wire.problem import problem

PENDING = errors.ApprovalPending("01aa", ["finance"], "2026-11-20T10:00:00Z")
CASES = [
    PENDING,
    errors.PolicyDenied(["Refunds over 1,000 are never allowed."], tool="stripe.create_refund", call="01aa"),
    errors.UnknownTool("GET", "/v1/x"),
    errors.InvalidArguments("stripe.create_refund", [("body.amount", "it is required")]),
    errors.AmbiguousRequest("the path has an empty segment (//)"),
    errors.GatewayCredential(presented=False),
    errors.IdempotencyKeyReused("01aa"),
    errors.OutcomeUnknown("01aa", "stripe"),
    errors.AnswerNotKept("01aa", upstream_status=200, sha256="ab", length=7),
]


@pytest.fixture
def answering():
    """A real server that answers everything with one error, and counts the requests."""
    state: dict[str, Any] = {"error": PENDING, "requests": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state["requests"] += 1
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, body = problem(state["error"], self.headers.get("accept") or "")
            self.send_response(status)
            for name, value in headers:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state["url"] = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()
        thread.join()


def fields(error, accept=""):
    return dict(problem(error, accept)[1])


@pytest.mark.parametrize("error", CASES, ids=lambda error: error.slug)
def test_stripe_shows_the_sentence_and_does_not_repeat_on_its_own(answering, error):
    answering["error"] = error
    client = stripe.StripeClient("gk_x", base_addresses={"api": answering["url"]}, max_network_retries=2)
    with pytest.raises(stripe.StripeError) as caught:
        client.v1.refunds.create({"charge": "ch_1"})
    assert error.detail in str(caught.value)
    assert caught.value.error is not None and caught.value.error.code == error.slug
    assert answering["requests"] == 1


@pytest.mark.parametrize("error", CASES, ids=lambda error: error.slug)
def test_openai_shows_the_sentence_and_does_not_repeat_on_its_own(answering, error):
    answering["error"] = error
    client = openai.OpenAI(api_key="gk_x", base_url=answering["url"], max_retries=2)
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.models.list()
    assert error.detail in str(caught.value)
    assert (caught.value.code, caught.value.type) == (error.slug, "gateway_error")
    assert answering["requests"] == 1


@pytest.mark.parametrize("error", CASES, ids=lambda error: error.slug)
def test_pygithub_shows_the_sentence(answering, error):
    answering["error"] = error
    client = github.Github(auth=github.Auth.Token("gk_x"), base_url=answering["url"], retry=None)
    with client, pytest.raises(github.GithubException) as caught:
        client.get_user("octocat")
    assert error.detail in str(caught.value)


def test_octokit_would_show_the_sentence():
    """octokit's toErrorMessage (request.js 10) reads `message` of an application/json body, then `errors`."""
    error = errors.InvalidArguments("github.create_issue", [("body.title", "it is required")])
    _status, headers, body = problem(error, "application/vnd.github.v3+json")
    data = json.loads(body)
    assert dict(headers)[b"content-type"] == b"application/json"
    assert "message" in data and data["message"] == error.detail
    assert isinstance(data["errors"], list) and "documentation_url" not in data


def test_the_problem_media_type_is_for_those_who_name_it():
    assert fields(PENDING, "")[b"content-type"] == b"application/json"
    assert fields(PENDING, "*/*")[b"content-type"] == b"application/json"
    assert fields(PENDING, "application/problem+json")[b"content-type"] == b"application/problem+json"
    accept = "application/json, Application/Problem+JSON; q=0.5"
    assert fields(PENDING, accept)[b"content-type"] == b"application/problem+json"
    assert fields(PENDING, "application/problem+json;q=0")[b"content-type"] == b"application/json"
    assert fields(PENDING, "application/problem+jsonx")[b"content-type"] == b"application/json"


def test_nothing_that_the_gateway_says_is_stored_by_caches():
    assert all(fields(error)[b"cache-control"] == b"no-store" for error in CASES)


def test_a_pending_call_tells_where_and_when_to_ask_again():
    found = fields(PENDING)
    assert found[b"location"] == b"/calls/01aa"
    assert found[b"retry-after"] == b"30"
    assert found[b"gateway-call"] == b"01aa"


def test_a_missing_key_names_the_scheme():
    assert fields(errors.GatewayCredential(presented=False))[b"www-authenticate"].startswith(b"Bearer")


def test_members_cannot_replace_the_standard_ones():
    error = errors.GatewayError("Sentence.", members={"status": 200, "retryable": True, "more": 1})
    document = json.loads(problem(error)[2])
    assert (document["status"], document["retryable"], document["more"]) == (500, False, 1)


def test_an_sdk_may_repeat_at_once_what_was_provably_not_sent():
    assert b"stripe-should-retry" not in fields(errors.UpstreamUnreachable("stripe"))
    assert fields(errors.OutcomeUnknown("01aa", "stripe"))[b"stripe-should-retry"] == b"false"


def test_the_declared_length_is_that_of_the_body():
    for error in CASES:
        _, headers, body = problem(error)
        assert int(dict(headers)[b"content-length"]) == len(body)
