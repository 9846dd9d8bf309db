"""The gateway's sentences reach a model through unmodified SDKs: stripe, openai, PyGithub, octokit.

Each is given a base URL and a gateway key, and nothing else. What is checked is the text of the exception, because
that is what an agent's model reads. octokit needs Node and `npm ci` in tests/octokit.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import github
import openai
import pytest
import stripe

from tests.gateway_process import eventually, key_of
from tests.gateway_world import POLICIES, SECRET, world
from tests.scripted_upstream import answer, fresh, resets

OCTOKIT = Path(__file__).parent / "octokit"
SDK_POLICIES = (
    POLICIES
    + """
@id("hold-kind") @approval("finance") @reason("This needs a yes from finance.")
forbid (principal, action in [Action::"stripe.create_refund", Action::"github.create_issue"], resource)
when { context.input has kind && context.input.kind == "hold" };

@id("hold-model") @approval("finance") @reason("This needs a yes from finance.")
forbid (principal, action == Action::"openai.chat", resource) when { context.input.model == "hold" };

@id("deny-kind") @reason("This is never done by agents: ask Ada.")
forbid (principal, action in [Action::"stripe.create_refund", Action::"github.create_issue"], resource)
when { context.input has kind && context.input.kind == "deny" };

@id("deny-model") @reason("This is never done by agents: ask Ada.")
forbid (principal, action == Action::"openai.chat", resource) when { context.input.model == "deny" };
"""
)
WORDS = {
    "approval-pending": r"This call needs approval by finance.*nothing has been executed.*GET /calls/\d\d[0-9a-f]{22}",
    "policy-denied": r"\w+\.\w+ was denied: This is never done by agents: ask Ada\..*Nothing was executed",
    "unknown-tool": r"The gateway passes on only what its operator declared.*Nothing was executed.*nearest",
    "outcome-unknown": r"The request was sent to \w+, .*may or may not have been executed.*will not send it again",
}
"""Of each error, what a model has to read to do the right thing."""
KINDS = {"approval-pending": "hold", "policy-denied": "deny", "outcome-unknown": "plain", "fine": "plain"}


def _systems(routes):
    """Three more systems; the word that decides stands where each SDK takes free text."""
    bank = {name: routes["systems"]["bank"][name] for name in ("upstream", "owner", "credential", "timeout")}
    text, hold = {"type": "string"}, {"hold": {"wait": "100ms"}}
    refund = {
        "request": "POST /v1/refunds", "effect": "write", "body": "form", "open": True,
        "input": {"charge": text, "kind": {"type": "string", "optional": True}},
        "idempotency": {"key": "charge"},
    }  # fmt: skip
    chat = {"request": "POST /v1/chat/completions", "effect": "write", "open": True, "input": {"model": text}}
    issue = {
        "request": "POST /repos/{owner}/{repo}/issues", "effect": "write", "open": True,
        "input": {"owner": text, "repo": text, "title": text, "kind": {"type": "string", "optional": True}},
    }  # fmt: skip
    issues = {"request": "GET /repos/{owner}/{repo}/issues", "effect": "read", "open": True}
    routes["systems"] |= {
        "stripe": bank | {"tools": {"create_refund": refund | hold}},
        "openai": bank | {"tools": {"chat": chat | hold}},
        "github": bank | {"rewrite_urls": True, "tools": {"create_issue": issue | hold, "list_issues": issues}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    with world(change=_systems, policies=SDK_POLICIES) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_on_a_users_machine(monkeypatch, tmp_path):
    """stripe writes a telemetry id below the user's configuration; all of them obey a proxy."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


def with_stripe(scene, situation, marker):
    url = f"{scene.gateway.agents}/stripe"
    client = stripe.StripeClient(key_of("bot"), base_addresses={"api": url}, max_network_retries=2)
    if situation == "unknown-tool":
        return client.v1.customers.delete(marker)
    arguments: Any = {"charge": marker, "amount": 1, "kind": KINDS[situation]}
    return client.v1.refunds.create(arguments)


def with_openai(scene, situation, marker):
    with openai.OpenAI(api_key=key_of("bot"), base_url=f"{scene.gateway.agents}/openai/v1") as client:
        if situation == "unknown-tool":
            return client.models.retrieve(marker)
        messages: Any = [{"role": "user", "content": marker}]
        return client.chat.completions.create(model=KINDS[situation], messages=messages)


def with_pygithub(scene, situation, marker, **options):
    # Without `retry=None` it repeats every 5xx ten times and then says only "too many 502 error responses".
    options = {"retry": None} | options if situation == "outcome-unknown" else options
    client = github.Github(
        base_url=f"{scene.gateway.agents}/github", auth=github.Auth.Token(key_of("bot")), lazy=True,
        seconds_between_requests=None, seconds_between_writes=None, **options,
    )  # fmt: skip
    try:
        repository = client.get_repo("acme/shop")
        if situation == "unknown-tool":
            return repository.create_label(marker, "ff0000")
        post = {"title": marker, "kind": KINDS[situation]}
        return repository.requester.requestJsonAndCheck("POST", f"{repository.url}/issues", input=post)
    finally:
        client.close()


def with_octokit(scene, situation, marker):
    told = octokit(scene, "createLabel" if situation == "unknown-tool" else "createIssue", {
        "owner": "acme", "repo": "shop", "title": marker, "name": marker, "color": "ff0000",
    } | ({"kind": KINDS[situation]} if situation in KINDS else {}))  # fmt: skip
    if "error" in told:
        raise OctokitError(told["error"])
    return told["data"]


class OctokitError(Exception):
    """What octokit raised, in its words."""


def octokit(scene, method, arguments):
    if shutil.which("node") is None:
        pytest.skip("octokit is not tried: there is no `node` on PATH")
    if not (OCTOKIT / "node_modules").is_dir():
        pytest.skip("octokit is not tried: run `npm ci` in tests/octokit first")
    asked = {
        "baseUrl": f"{scene.gateway.agents}/github",
        "key": key_of("bot"),
        "method": method,
        "arguments": arguments,
    }
    done = subprocess.run(
        ["node", "attempt.mjs", json.dumps(asked)], cwd=OCTOKIT, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


SDKS = {
    "stripe": (with_stripe, stripe.StripeError),
    "openai": (with_openai, openai.APIError),
    "pygithub": (with_pygithub, github.GithubException),
    "octokit": (with_octokit, OctokitError),
}


def message(error):
    """What the SDK itself takes for the message: it begins with our sentence, not with a dump of the answer."""
    match error:
        case stripe.StripeError():
            return error.user_message
        case openai.APIError(body=dict(body)):
            return body["message"]
        case github.GithubException():
            return error.message
    return str(error)


@pytest.mark.parametrize("situation", WORDS)
@pytest.mark.parametrize("sdk", SDKS)
def test_the_sentence_is_in_the_exception(scene, sdk, situation):
    attempt, error = SDKS[sdk]
    marker = fresh("sdk")
    scene.upstream.will(marker, resets() if situation == "outcome-unknown" else answer(200, {"object": "never"}))
    with pytest.raises(error) as raised:
        attempt(scene, situation, marker)
    assert re.match(WORDS[situation], message(raised.value), re.DOTALL), message(raised.value)
    assert message(raised.value) in str(raised.value)  # which is what reaches the model
    assert len(scene.upstream.seen(marker)) == (situation == "outcome-unknown")
    assert SECRET not in str(raised.value) and key_of("bot") not in str(raised.value)


ANSWERS = {
    "stripe": {"id": "re_1", "object": "refund", "amount": 1},
    "openai": {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "plain", "choices": []},
    "pygithub": {"number": 7, "title": "t"},
    "octokit": {"number": 7, "title": "t"},
}


@pytest.mark.parametrize("sdk", SDKS)
def test_what_is_allowed_comes_back_as_the_sdks_own_object_and_the_system_got_its_credential(scene, sdk):
    attempt, _ = SDKS[sdk]
    marker = fresh("sdk")
    scene.upstream.will(marker, answer(200, ANSWERS[sdk]))
    assert attempt(scene, "fine", marker) is not None
    (sent,) = scene.upstream.seen(marker)
    assert sent.all("authorization") == [b"Bearer " + SECRET.encode()] and b"gk_" not in sent.raw


def test_an_sdk_that_repeats_5xx_by_itself_still_makes_the_effect_once(scene):
    """PyGithub's defaults: eleven requests, one call."""
    marker = fresh("sdk")
    scene.upstream.will(marker, resets())
    with pytest.raises(Exception, match="502"):
        with_pygithub(scene, "outcome-unknown", marker, retry=github.GithubRetry(total=10))
    assert len(scene.upstream.seen(marker)) == 1


def test_after_the_approval_the_same_line_of_code_returns_the_real_object(scene):
    """Under a new idempotency key, which the SDK invents for every attempt."""
    for sdk in ("stripe", "openai", "pygithub"):
        attempt, error = SDKS[sdk]
        marker = fresh("sdk")
        scene.upstream.will(marker, answer(200, ANSWERS[sdk]))
        with pytest.raises(error) as raised:
            attempt(scene, "approval-pending", marker)
        (call,) = re.findall(r"/calls/(\d\d[0-9a-f]{22})", str(raised.value))[:1]
        assert scene.approvers.approve(call).status_code == 200
        _answered(scene, call)
        assert attempt(scene, "approval-pending", marker) is not None
        assert len(scene.upstream.seen(marker)) == 1


def test_pygithub_following_page_2_comes_back_to_the_gateway(scene):
    repo = fresh("repo")
    _two_pages(scene, repo)
    with github.Github(
        base_url=f"{scene.gateway.agents}/github", auth=github.Auth.Token(key_of("bot")), lazy=True
    ) as client:
        issues = client.get_repo(f"acme/{repo}").get_issues()
        assert [issue.number for issue in issues] == [1, 2]
    _both_pages_came_through_the_gateway(scene, repo)


def test_octokit_following_page_2_comes_back_to_the_gateway(scene):
    repo = fresh("repo")
    _two_pages(scene, repo)
    told = octokit(scene, "paginate", {"owner": "acme", "repo": repo, "per_page": 1})
    assert [issue["number"] for issue in told["data"]] == [1, 2]
    _both_pages_came_through_the_gateway(scene, repo)


def _two_pages(scene, repo):
    link = f'<{scene.upstream.origin}/repos/acme/{repo}/issues?page=2>; rel="next"'
    scene.upstream.will(repo, answer(200, [{"number": 1}], [("link", link)]), answer(200, [{"number": 2}]))


def _both_pages_came_through_the_gateway(scene, repo):
    first, second = scene.upstream.seen(repo)
    assert b"page=2" in second.target and first.target != second.target
    for sent in (first, second):
        assert sent.all("authorization") == [b"Bearer " + SECRET.encode()] and b"gk_" not in sent.raw


def _answered(scene, call):
    eventually(lambda: scene.state(call) == "answered")
