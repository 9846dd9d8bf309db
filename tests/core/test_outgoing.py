"""What leaves is the judged request plus what the gateway adds, or nothing at all."""

import pytest

from gateway.core.call import Request
from gateway.core.outgoing import Outgoing, Unsendable, outgoing
from gateway.core.routes import Credential, SecretReference, System

REFERENCE = SecretReference("env", "KEY")


def ready(
    credential: Credential | None = None,
    *,
    headers=(),
    extra=(),
    target="/v1/x",
    method="POST",
    body=b"b",
    searched=True,
) -> Outgoing:
    system = System(name="s", origin="https://api.example", base_path="/base", owner="o", credential=credential)
    request = Request(system="s", method=method, target=target, headers=tuple(headers), body=body)
    return outgoing(system, request, tuple(extra), "the-secret", searched=searched)


def test_the_url_is_origin_base_path_and_target() -> None:
    assert ready(target="/v1/x?y=%2F").url == "https://api.example/base/v1/x?y=%2F"


def test_extra_fields_follow_the_agents() -> None:
    found = ready(headers=[("accept", "a"), ("x", "1")], extra=[("Via", "1.1 gw"), ("x", "2")])
    assert found.headers == [("accept", "a"), ("x", "1"), ("via", "1.1 gw"), ("x", "2")]


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        (Credential("bearer", REFERENCE), ("authorization", "Bearer the-secret")),
        (Credential("basic", REFERENCE, "user"), ("authorization", "Basic dXNlcjp0aGUtc2VjcmV0")),
        (Credential("header", REFERENCE, "X-Key", "token "), ("x-key", "token the-secret")),
        (Credential("query", REFERENCE, "key"), None),
        (None, None),
    ],
)
def test_the_credential_is_in_its_place_and_nowhere_else(
    credential: Credential | None, header: tuple[str, str] | None
) -> None:
    found = ready(credential, headers=[("x-other", "1"), *([(header[0], "agent's")] if header else [])])
    assert found.credential == header
    assert found.headers == [("x-other", "1")]
    assert ("the-secret" in found.url) == (credential is not None and credential.kind == "query")


def test_no_repr_shows_a_value() -> None:
    for credential in (Credential("bearer", REFERENCE), Credential("query", REFERENCE, "key")):
        shown = repr(ready(credential, headers=[("x", "private")], body=b"private"))
        assert "secret" not in shown
        assert "private" not in shown


def test_codings_are_filtered_only_if_the_answer_will_be_searched() -> None:
    headers = [("accept-encoding", "gzip, br")]
    assert ready(headers=headers).headers == [("accept-encoding", "gzip")]
    assert ready(headers=headers, searched=False).headers == headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_empty_body_of_a_method_that_has_one_is_said_to_be_empty(method: str) -> None:
    assert ready(method=method, body=b"").headers == [("content-length", "0")]
    assert ready(method=method, body=b"b").headers == []


@pytest.mark.parametrize("target", ["", "x", "?a", "/a#b", "/a?b#c", "@evil/", ":8080/"])
def test_a_target_that_is_no_path_cannot_be_sent(target: str) -> None:
    with pytest.raises(Unsendable):
        ready(target=target)


def test_a_refusal_quotes_no_value() -> None:
    with pytest.raises(Unsendable) as caught:
        ready(headers=[("x-name", "sécret")])
    assert "x-name" in str(caught.value)
    assert "cret" not in str(caught.value)
