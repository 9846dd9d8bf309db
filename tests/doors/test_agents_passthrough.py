"""What passes between an agent and a system, and what must not: fields, bodies, streams, credentials, addresses."""

import base64
import gzip
import hashlib
import json
import socket
import threading

import httpx
import pytest

from tests.adapters.hostile import response
from tests.gateway_process import bearer, eventually, key_of
from tests.gateway_world import SECRET, slug, world
from tests.scripted_upstream import answer, echoes_head, fresh, pours, sends, streams

KEY = key_of("bot")


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


@pytest.fixture
def stranger(scene):
    """A client that presents no key by itself."""
    with httpx.Client(base_url=scene.gateway.agents, trust_env=False, timeout=20.0) as client:
        yield client


def raw(scene, data: bytes, *, until: bytes = b"") -> bytes:
    """What comes back for these bytes, until the connection ends or `until` has come."""
    host, port = scene.gateway.agents.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as line:
        line.sendall(data)
        found = b""
        while not until or until not in found:
            more = line.recv(65536)
            if not more:
                break
            found += more
    return found


def head(method: str, path: str, *lines: str) -> bytes:
    fixed = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {KEY}", "Connection: close")
    return "\r\n".join([*fixed, *lines, "", ""]).encode("latin-1")


# --- the gateway key stays here, the system's credential stays there ----------------------------------------------


@pytest.mark.parametrize(
    "presented",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"token {KEY}"},
        {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()},
        {"authorization": "Basic " + base64.b64encode(f"user:{KEY}".encode()).decode()},
        {"x-api-key": KEY},
        {"gateway-key": KEY},
        {"gateway-key": KEY, "authorization": "Bearer sk_a_dummy_that_the_sdk_insists_on"},
    ],
    ids=["bearer", "token", "basic-user", "basic-password", "x-api-key", "gateway-key", "beside-a-dummy"],
)
def test_a_gateway_key_is_taken_where_sdks_put_credentials_and_never_passed_on(scene, stranger, presented):
    item = fresh("item")
    assert stranger.get(f"/bank/items/{item}", headers=presented).status_code == 200
    (sent,) = scene.upstream.seen(item)
    assert b"gk_" not in sent.raw and b"dummy" not in sent.raw
    assert base64.b64encode(KEY.encode())[:20] not in sent.raw
    assert sent.all("authorization") == [b"Bearer " + SECRET.encode()]
    assert not sent.all("x-api-key") and not sent.all("gateway-key")


def test_a_system_gets_its_credential_where_it_wants_it(scene, stranger):
    item = fresh("item")
    assert stranger.get(f"/vault/items/{item}", headers={"PRIVATE-TOKEN": KEY}).status_code == 200
    assert stranger.get(f"/maps/items/{item}?key={KEY}").status_code == 200
    assert stranger.get(f"/erp/items/{item}", headers=bearer(KEY)).status_code == 200
    vault, maps, erp = scene.upstream.seen(item)
    assert vault.all("private-token") == [SECRET.encode()] and not vault.all("authorization")
    assert maps.target == f"/items/{item}?key={SECRET}".encode() and not maps.all("authorization")
    assert erp.all("authorization") == [b"Basic " + base64.b64encode(f"gw:{SECRET}".encode())]
    assert all(b"gk_" not in sent.raw for sent in (vault, maps, erp))


def test_a_gateway_key_anywhere_else_is_refused_and_nothing_is_sent(scene):
    item = fresh("item")
    client = scene.agent()
    for found in (
        client.get(f"/bank/items/{item}", headers={"x-request-id": KEY}),
        client.get(f"/bank/items?item={item}&k={KEY}"),
        client.get(f"/bank/items/{item}{KEY}"),
        client.post("/bank/payments", json={"to": item, "amount": 1, "note": f"use {KEY}"}),
        client.get(f"/bank/items/{item}", headers={"x-api-key": key_of("other")}),
    ):
        assert (found.status_code, slug(found)) == (400, "ambiguous-request"), found.text
        assert KEY not in found.text
    assert scene.upstream.seen(item) == []


def test_an_answer_that_holds_the_credential_is_withheld(scene):
    to, item, hidden = fresh("pay"), fresh("item"), fresh("item")
    scene.upstream.will(to, answer(200, {"you sent": f"Bearer {SECRET}"}))
    scene.upstream.will(item, answer(200, {"you sent": SECRET}))
    scene.upstream.will(hidden, answer(200, {"ok": 1}, [("x-echo", SECRET)]))
    for found in (scene.pay(to), scene.agent().get(f"/bank/items/{item}"), scene.agent().get(f"/bank/items/{hidden}")):
        assert (found.status_code, slug(found)) == (502, "credential-echoed"), found.text
        assert SECRET not in found.text and SECRET not in str(found.headers)
    call = scene.pay(to).json()["call"]
    assert SECRET not in scene.agent().get(f"/calls/{call}").text
    assert SECRET not in scene.person("auditor").get(f"/calls/{call}").text
    assert SECRET not in scene.gateway.log and len(scene.upstream.seen(to)) == 1


# --- fields of the request ----------------------------------------------------------------------------------------


def test_only_what_is_inert_or_declared_reaches_the_system(scene):
    to = fresh("pay")
    found = scene.pay(
        to, key="k" + to, gateway_run="run-7", gateway_reason="the cup was broken", cookie="session=1",
        bank_account="acct_1", accept="application/json", accept_language="de", x_stainless_lang="python",
        stripe_client_user_agent="noise", x_request_id="r1", user_agent="agent/1", te="trailers",
        x_forwarded_for="10.0.0.1", x_forwarded_host="evil.example", forwarded="for=1.2.3.4", x_real_ip="10.0.0.1",
        x_user_id="boss", prefer="return=minimal, wait=5",
    )  # fmt: skip
    assert found.status_code == 200, found.text
    (sent,) = scene.upstream.seen(to)
    names = {name.decode().lower() for name, _ in sent.headers}
    assert names == {
        "accept", "accept-encoding", "accept-language", "authorization", "bank-account", "content-length",
        "content-type", "host", "prefer", "traceparent", "user-agent", "via", "x-request-id",
    }  # fmt: skip
    assert sent.all("prefer") == [b"return=minimal"] and sent.all("bank-account") == [b"acct_1"]
    assert sent.all("user-agent") == [b"agent/1"] and sent.all("via") == [b"1.1 policy-gateway"]
    assert sent.all("host") == [scene.upstream.origin.removeprefix("http://").encode()]
    assert sent.body == json.dumps({"to": to, "amount": 10}, separators=(",", ":")).encode()


def test_a_field_that_nobody_knows_is_refused_with_both_cures(scene):
    to = fresh("pay")
    found = scene.pay(to, bank_tenant="acme")
    assert (found.status_code, slug(found)) == (422, "invalid-arguments")
    assert "bank-tenant" in found.text.lower() and "headers" in found.text and "drop_headers" in found.text
    assert scene.upstream.seen(to) == []


@pytest.mark.parametrize("line", ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /admin", "X-Rewrite-Url: /admin"])
def test_a_field_that_names_another_request_is_refused(scene, line):
    item = fresh("item")
    found = raw(scene, head("GET", f"/bank/items/{item}", line))
    assert found.startswith(b"HTTP/1.1 400") and b"ambiguous-request" in found
    assert scene.upstream.seen(item) == []


@pytest.mark.parametrize(
    ("method", "path", "lines", "body"),
    [
        ("GET", "/bank/items/{}", ["Host: other"], b""),
        ("POST", "/bank/files?{}", ["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        ("POST", "/bank/files?{}", ["Content-Length: 2", "Content-Length: 3"], b"{}"),
        ("GET", "/bank/items/%2e%2e/{}", [], b""),
        ("GET", "/bank/items/../{}", [], b""),
        ("GET", "/bank/items/a%2f{}", [], b""),
        ("GET", "/bank//items/{}", [], b""),
        ("GET", "/bank/items/a\\{}", [], b""),
        ("GET", "/bank/items/{}", ["Connection: authorization"], b""),
        ("GET", "/bank/items/{}", ["Bank_Account: 1"], b""),
        ("GET", "http://evil.example/bank/items/{}", [], b""),
    ],
    ids=["two-hosts", "te-and-cl", "two-lengths", "encoded-dots", "dots", "encoded-slash", "empty-segment", "backslash",
         "connection-names-a-field", "underscore", "absolute-form"],
)  # fmt: skip
def test_a_request_that_can_be_read_in_two_ways_is_400_and_nothing_is_sent(scene, method, path, lines, body):
    marker = fresh("item")
    found = raw(scene, head(method, path.format(marker), *lines) + body)
    assert found.startswith(b"HTTP/1.1 400"), found
    assert b"ambiguous-request" in found and scene.upstream.seen(marker) == []


def test_json_that_can_be_read_in_two_ways_is_400(scene):
    to = fresh("pay")
    for body in (
        f'{{"to": "{to}", "amount": 1, "amount": 500000}}',
        f'{{"to": "{to}", "amount": 1e400}}',
        f'{{"to": "{to}", "amount": NaN}}',
        f'{{"to": "{to}", "amount": 1}} {{}}',
        f'{{"to": "{to}", "amount": 1, "note": {"[" * 500 + "]" * 500}}}',
    ):
        found = scene.agent().post("/bank/payments", content=body, headers={"content-type": "application/json"})
        assert found.status_code in (400, 422) and slug(found) in ("ambiguous-request", "invalid-arguments"), body
    assert scene.upstream.seen(to) == []


def test_a_trace_continues_from_the_agent_to_the_system(scene):
    item, trace = fresh("item"), "4bf92f3577b34da6a3ce929d0e0e4736"
    scene.agent().get(f"/bank/items/{item}", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    scene.agent().get(f"/bank/items/{item}", headers={"traceparent": "garbage"})
    joined, own = (sent.all("traceparent")[0].decode() for sent in scene.upstream.seen(item))
    assert joined.split("-")[1] == trace and joined.split("-")[2] != "00f067aa0ba902b7" and joined.endswith("-01")
    assert own.split("-")[1] != trace and len(own.split("-")[1]) == 32


# --- fields of the answer -----------------------------------------------------------------------------------------


def test_cookies_and_hop_by_hop_fields_end_at_the_gateway(scene):
    item = fresh("item")
    fields = [
        ("set-cookie", "session=1"), ("connection", "x-private, keep-alive"), ("x-private", "1"), ("keep-alive", "5"),
        ("proxy-authenticate", "Basic"), ("upgrade", "h2c"), ("x-public", "kept"), ("etag", '"7"'),
        ("gateway-call", "forged"), ("strict-transport-security", "max-age=1"), ("alt-svc", 'h3=":443"'),
    ]  # fmt: skip
    scene.upstream.will(item, answer(200, {}, fields))
    found = scene.agent().get(f"/bank/items/{item}")
    gone = {"set-cookie", "x-private", "keep-alive", "proxy-authenticate", "upgrade", "alt-svc"}
    assert not gone & set(found.headers) and "strict-transport-security" not in found.headers
    assert found.headers["x-public"] == "kept" and found.headers["etag"] == '"7"'
    assert found.headers.get_list("gateway-call") != ["forged"] and len(found.headers.get_list("gateway-call")) == 1


@pytest.mark.parametrize(("status", "length"), [(204, 2), (304, 44), (304, 0)])
def test_a_length_beside_an_answer_without_a_body_does_no_harm(scene, status, length):
    """An answer that says 44 and brings nothing would end the connection, and a paid agent be taken for gone."""
    to, item = fresh("pay"), fresh("item")
    bare = sends(b'HTTP/1.1 %d Nothing\r\ncontent-length: %d\r\netag: "7"\r\n\r\n' % (status, length))
    for marker in (to, item):
        scene.upstream.will(marker, bare)
    found = [scene.agent().get(f"/bank/items/{item}"), scene.pay(to, key="k" + to), scene.pay(to, key="k" + to)]
    for each in found:
        assert (each.status_code, each.content, each.headers["etag"]) == (status, b"", '"7"')
        assert "content-length" not in each.headers and "connection" not in each.headers
    assert scene.timeline(found[1].headers["gateway-call"]) == ["Admitted", "Judged", "Claimed", "Answered"]
    assert "Exception in ASGI" not in scene.gateway.log


@pytest.mark.parametrize("status", [b"100", b"199", b"600", b"999"])
def test_a_status_that_http_does_not_know_proves_nothing(scene, status):
    to, item = fresh("pay"), fresh("item")
    for marker in (to, item):
        scene.upstream.will(marker, sends(b"HTTP/1.1 %b Well\r\ncontent-length: 2\r\n\r\n{}" % status, then="close"))
    assert slug(scene.agent().get(f"/bank/items/{item}")) == "read-failed"
    assert [slug(scene.pay(to, key=key)) for key in ("k" + to, "k" + to, "new" + to)] == ["outcome-unknown"] * 3
    assert len(scene.upstream.effects(to)) == 1
    assert "Exception in ASGI" not in scene.gateway.log


def test_no_cookie_passes_beside_a_streamed_or_a_stored_answer(scene):
    item, to = fresh("item"), fresh("pay")
    cookie = [("set-cookie", "session=of-the-bank; Path=/")]
    scene.upstream.will(item, pours(2 * 1024 * 1024, cookie))
    scene.upstream.will(to, answer(200, {"id": 1}, cookie))
    with scene.agent().stream("GET", f"/bank/items/{item}") as found:
        assert found.status_code == 200 and "set-cookie" not in found.headers
    call = scene.pay(to, key="k" + to).headers["gateway-call"]
    assert "set-cookie" not in scene.pay(to, key="k" + to).headers
    assert "of-the-bank" not in scene.agent().get(f"/calls/{call}").text


def test_a_field_that_came_twice_is_shown_whole_when_the_answer_is_asked_for(scene):
    to = fresh("pay")
    twice = [("x-page", "1"), ("link", "</a>; rel=next"), ("x-page", "2"), ("link", "</b>; rel=last")]
    scene.upstream.will(to, answer(200, {"id": 1}, twice))
    found = scene.pay(to, key="k" + to)
    shown = scene.agent().get(f"/calls/{found.headers['gateway-call']}").json()["answer"]["headers"]
    assert shown["x-page"] == "1, 2" and shown["link"] == "</bank/a>; rel=next, </bank/b>; rel=last"
    assert found.headers.get_list("x-page") == ["1", "2"]


@pytest.mark.parametrize("option", [b"x-private, \xff", b"\xe2\x82\xac, x-private"])
def test_a_connection_field_that_cannot_be_read_lets_nothing_past_but_the_body(scene, option):
    item = fresh("item")
    fields = [("connection", option), ("x-private", "1"), ("x-public", "1"), ("content-language", "de")]
    scene.upstream.will(item, answer(200, {"id": 1}, fields))
    found = scene.agent().get(f"/bank/items/{item}")
    assert found.json() == {"id": 1} and found.headers["content-language"] == "de"
    assert not {"x-private", "x-public", "connection"} & set(found.headers)


@pytest.mark.parametrize("option", [b"close, \xff", b"\xff\xfe, keep-alive", "caf\xe9".encode()])
def test_a_connection_field_of_a_request_may_be_any_bytes(scene, option):
    item = fresh("item")
    sent = b"GET /bank/items/%b HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\nConnection: %b\r\n\r\n"
    found = raw(scene, sent % (item.encode(), KEY.encode(), option), until=b'"number"')
    assert found.startswith(b"HTTP/1.1 200") and len(scene.upstream.seen(item)) == 1
    assert scene.upstream.seen(item)[0].all("connection") == []


def test_a_redirect_is_not_followed_and_leads_back_to_the_gateway(scene):
    item = fresh("item")
    origin, gateway = scene.upstream.origin, scene.gateway.agents
    scene.upstream.will(
        item,
        answer(302, "", [("location", f"{origin}/items/other")]),
        answer(302, "", [("location", "/items/other")]),
        answer(302, "", [("location", "https://elsewhere.example/x")]),
    )
    found = [scene.agent().get(f"/bank/items/{item}") for _ in range(3)]
    assert [answer.status_code for answer in found] == [302] * 3
    assert [answer.headers["location"] for answer in found] == [
        f"{gateway}/bank/items/other", "/bank/items/other", "https://elsewhere.example/x",
    ]  # fmt: skip
    assert len(scene.upstream.seen(item)) == 3


def test_an_sdk_following_page_2_comes_to_the_gateway_and_its_key_goes_nowhere_else(scene):
    mark = fresh("page")
    origin = scene.upstream.origin
    link = f'<{origin}/api/v3/items?page=2&q={mark}>; rel="next", <{origin}/api/v3/items?page=9&q={mark}>; rel="last"'
    body = {"next": f"{origin}/api/v3/items?page=2&q={mark}", "other": "https://elsewhere.example/items"}
    scene.upstream.will(mark, answer(200, body, [("link", link)]), answer(200, {"page": 2}))
    first = scene.agent().get(f"/paged/items?q={mark}")
    following = first.links["next"]["url"]
    assert following == f"{scene.gateway.agents}/paged/items?page=2&q={mark}" == first.json()["next"]
    assert first.json()["other"] == body["other"] and int(first.headers["content-length"]) == len(first.content)
    assert httpx.get(following, headers=bearer(KEY), trust_env=False, timeout=60).json() == {"page": 2}
    for sent, target in zip(scene.upstream.seen(mark), (f"/items?q={mark}", f"/items?page=2&q={mark}"), strict=True):
        assert sent.target == f"/api/v3{target}".encode() and b"gk_" not in sent.raw
        assert sent.all("authorization") == [b"Bearer " + SECRET.encode()]


def test_a_stored_answer_leads_back_to_the_gateway_too(scene):
    """What GET /calls/{id} shows is what the request itself would have got: no address of the system's own."""
    to, origin = fresh("pay"), scene.upstream.origin
    fields = [("location", f"{origin}/items/7"), ("connection", "x-private"), ("x-private", "1")]
    scene.upstream.will(to, answer(201, {"id": 7}, fields))
    found = scene.pay(to)
    told = scene.agent().get(f"/calls/{found.headers['gateway-call']}").json()["answer"]
    assert told["headers"]["location"] == found.headers["location"] == f"{scene.gateway.agents}/bank/items/7"
    assert not {"connection", "x-private"} & set(told["headers"])


def test_urls_in_bodies_stay_without_rewrite_urls(scene):
    item = fresh("item")
    body = {"next": f"{scene.upstream.origin}/items?page=2"}
    scene.upstream.will(item, answer(200, body))
    assert scene.agent().get(f"/bank/items/{item}").json() == body


# --- bodies of the answer -----------------------------------------------------------------------------------------


def test_head_204_and_304_have_no_body(scene):
    item = fresh("item")
    scene.upstream.will(item, echoes_head(), answer(204), answer(304, headers=[("etag", '"7"')]), answer(200, {"n": 1}))
    found = raw(scene, head("HEAD", f"/bank/items/{item}"))
    assert found.startswith(b"HTTP/1.1 200") and found.endswith(b"\r\n\r\n")
    assert b"content-length: 1234" in found.lower() and b"gateway-call: " in found.lower()
    for status in (204, 304):
        found = scene.agent().get(f"/bank/items/{item}", headers={"if-none-match": '"7"'})
        assert found.status_code == status and found.content == b""
    assert scene.agent().get(f"/bank/items/{item}").json() == {"n": 1}  # the connection is still in step


def test_a_compressed_answer_passes_as_it_is(scene):
    item, to = fresh("item"), fresh("pay")
    packed = gzip.compress(json.dumps({"n": "1" * 500}).encode())
    fields = [("content-encoding", "gzip"), ("content-type", "application/json"), ("vary", "accept-encoding")]
    scene.upstream.will(item, answer(200, packed, fields))
    scene.upstream.will(to, answer(200, packed, fields))
    with scene.agent().stream("GET", f"/bank/items/{item}") as found:
        assert found.headers["content-encoding"] == "gzip" and found.headers["vary"] == "accept-encoding"
        assert b"".join(found.iter_raw()) == packed
    scene.pay(to, key="k" + to)
    replayed = scene.pay(to, key="k" + to)
    assert replayed.json() == {"n": "1" * 500} and replayed.headers["content-encoding"] == "gzip"


def test_server_sent_events_arrive_as_they_come(scene):
    item, second, third = fresh("item"), threading.Event(), threading.Event()
    parts = [(None, b"data: one\n\n"), (second, b"data: two\n\n"), (third, b"data: three\n\n")]
    scene.upstream.will(item, streams("text/event-stream", parts))
    with scene.agent().stream("GET", f"/bank/items/{item}", headers={"accept": "text/event-stream"}) as found:
        assert found.status_code == 200 and found.headers["content-type"] == "text/event-stream"
        coming = found.iter_raw()
        assert next(coming) == b"data: one\n\n"  # the system has not sent more yet
        second.set()
        assert next(coming) == b"data: two\n\n"
        third.set()
        assert b"".join(coming) == b"data: three\n\n"
        call = found.headers["gateway-call"]
    eventually(lambda: scene.timeline(call)[-1] == "Ended")


def test_a_large_read_streams_and_its_digest_is_written_down(scene):
    item, size = fresh("item"), 12 * 1024 * 1024
    scene.upstream.will(item, pours(size))
    digest, length = hashlib.sha256(), 0
    with scene.agent().stream("GET", f"/bank/items/{item}") as found:
        assert int(found.headers["content-length"]) == size
        for part in found.iter_raw():
            digest.update(part)
            length += len(part)
    assert length == size
    assert digest.hexdigest() == hashlib.sha256(bytes(range(256)) * (size // 256)).hexdigest()
    call = found.headers["gateway-call"]
    eventually(lambda: scene.timeline(call) == ["Admitted", "Judged", "Answered", "Ended"])


def test_a_large_answer_of_an_effect_is_delivered_whole(scene):
    to, size = fresh("pay"), 3 * 1024 * 1024
    scene.upstream.will(to, pours(size))
    assert len(scene.pay(to).content) == size


def test_a_stream_that_breaks_off_breaks_off_for_the_agent_too(scene):
    item = fresh("item")
    whole = 4 * 1024 * 1024
    scene.upstream.will(item, sends(response(b"x" * (2 * 1024 * 1024), length=whole), then="close"))
    with scene.agent().stream("GET", f"/bank/items/{item}") as found:
        call = found.headers["gateway-call"]
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(found.iter_raw())
    told = eventually(lambda: _ended(scene, call))
    assert "broke off" in told
    eventually(lambda: f"the body of call {call} broke off" in scene.gateway.log)  # one line, not thirty
    eventually(lambda: scene.agent().get("/healthz").status_code == 200)
    assert "Exception in ASGI" not in scene.gateway.log


def _ended(scene, call):
    timeline = scene.person("auditor").get(f"/calls/{call}").json()["timeline"]
    return next((item["text"] for item in timeline if item["fact"] == "Ended"), "")


def test_opaque_bodies_pass_byte_for_byte(scene):
    mark = fresh("file")
    body = mark.encode() + bytes(range(256)) * 64
    found = scene.agent().post("/bank/files", content=body, headers={"content-type": "application/octet-stream"})
    assert found.status_code == 200, found.text
    (sent,) = scene.upstream.seen(mark)
    assert sent.body == body and sent.all("content-type") == [b"application/octet-stream"]


def test_pipelined_requests_are_answered_in_order(scene):
    one, two = fresh("item"), fresh("item")
    scene.upstream.will(one, answer(200, {"it": "one"}))
    scene.upstream.will(two, answer(200, {"it": "two"}))
    keep = head("GET", f"/bank/items/{one}").replace(b"Connection: close\r\n", b"")
    found = raw(scene, keep + head("GET", f"/bank/items/{two}"))
    assert found.index(b'"one"') < found.index(b'"two"') and found.count(b"HTTP/1.1 200") == 2
