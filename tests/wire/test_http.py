"""From scope and body to a cleaned request."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.wire import http
from tests.wire.wire_cases import BEARER, INDEX, KEY, ODD_KEY, OTHER_KEY, scope

KEY_BYTES = KEY.encode()


def head(*arguments, **more):
    return http.head(scope(*arguments, **more), INDEX)


def receive(*arguments, body=b"", **more):
    return http.receive(scope(*arguments, **more), body, INDEX)


def names(found):
    return [name for name, _ in found.headers]


# --- Where to -----------------------------------------------------------------------------------------------------


def test_a_request_is_located_by_the_first_segment():
    found = head(target="/stripe/v1/charges?limit=3")
    assert (found.agent.name, found.system.name, found.path, found.target) == (
        "bot",
        "stripe",
        "/v1/charges",
        "/v1/charges?limit=3",
    )
    assert (found.base.root, found.base.own, found.client_ip) == ("http://127.0.0.1:8080", "", "10.1.2.3")


@pytest.mark.parametrize("host", [b"stripe.internal", b"STRIPE.internal:8080", b"stripe.internal."])
def test_a_request_is_located_by_the_systems_own_host(host):
    found = head(target="/v1/charges", host=host)
    assert (found.system.name, found.path, found.base.own) == ("stripe", "/v1/charges", "stripe")
    assert head(target="/github/x", host=host).path == "/github/x"


def test_the_root_of_a_system_has_a_path():
    assert head(target="/github").path == "/"
    assert head(target="/github/").path == "/"


def test_an_unknown_system_is_an_unknown_tool_naming_those_there_are():
    with pytest.raises(errors.UnknownTool, match="github, gitlab, maps, stripe"):
        head(target="/paypal/v1/x")


def test_a_path_without_a_system_is_told_how_one_looks():
    with pytest.raises(errors.UnknownTool) as caught:
        head(target="/")
    assert "the path has no system: http://127.0.0.1:8080/<system>/... (there are: github," in caught.value.detail


def test_a_stranger_does_not_learn_which_systems_there_are():
    with pytest.raises(errors.GatewayCredential) as caught:
        head(target="/paypal/v1/x", headers=())
    assert "stripe" not in caught.value.detail


def test_a_known_systems_host_that_is_not_listed_is_misdirected():
    with pytest.raises(errors.Misdirected, match=r"api\.stripe\.com"):
        head(target="/v1/charges", host=b"api.stripe.com")


# --- Framing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "headers"),
    [
        ({"host": None}, ()),
        ({}, [(b"host", b"b")]),
        ({"host": b""}, ()),
        ({"host": b"a b"}, ()),
        ({"host": b"a/b"}, ()),
        ({"host": b"u@a"}, ()),
        ({"host": b"a:99999"}, ()),
        ({"host": b"a:b"}, ()),
        ({"http_version": "0.9"}, ()),
        ({"http_version": "2.0"}, ()),
        ({}, [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]),
        ({}, [(b"content-length", b"5"), (b"content-length", b"5")]),
        ({}, [(b"content-length", b"5, 5")]),
        ({}, [(b"content-length", b"+5")]),
        ({}, [(b"content-length", b"\xb2")]),
        ({}, [(b"transfer-encoding", b"gzip, chunked")]),
        ({}, [(b"transfer-encoding", b"Chunked")]),
        ({}, [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")]),
        ({"http_version": "1.0"}, [(b"transfer-encoding", b"chunked")]),
        ({}, [(b"x_user", b"a")]),
        ({}, [(b"x-a", b"a\x00b")]),
        ({}, [(b"x-a", b"a\nb")]),
        ({}, [(b"x-a", b"a\x7f")]),
        ({}, [(b"expect", b"202-accepted")]),
        ({}, [(b"connection", b"authorization")]),
        ({}, [(b"connection", b"stripe-account"), (b"stripe-account", b"a")]),
        ({}, [(b"authorization", b"Bearer x")]),
        ({}, [(b"idempotency-key", b"a"), (b"idempotency-key", b"b")]),
        ({}, [(b"content-type", b"a/b"), (b"content-type", b"a/b")]),
    ],
)
def test_bad_framing_is_refused_before_anything_else_and_the_connection_closed(more, headers):
    asked = scope(headers=[BEARER, *headers], **more)
    assert http.framing_error(asked)
    with pytest.raises(errors.AmbiguousRequest) as caught:
        http.head(asked, INDEX)
    assert caught.value.headers["connection"] == "close"
    with pytest.raises(errors.AmbiguousRequest):
        http.visit(asked, INDEX)


def test_good_framing_has_no_error():
    assert http.framing_error(scope()) is None
    assert http.framing_error(scope(headers=[(b"connection", b"close"), (b"expect", b"100-continue")])) is None


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "get", "SEARCH"])
def test_other_methods_are_not_allowed(method):
    with pytest.raises(errors.MethodNotAllowed) as caught:
        head(method)
    assert "GET" in caught.value.headers["allow"]


@pytest.mark.parametrize(
    "target", ["/stripe//v1", "/stripe/../github/x", "/stripe/v1;x=1", "//stripe/v1", "/stripe/%00", "/./stripe"]
)
def test_ambiguous_paths_are_refused(target):
    with pytest.raises((errors.AmbiguousRequest, errors.UnknownTool)) as caught:
        head(target=target)
    assert isinstance(caught.value, errors.AmbiguousRequest)


# --- Who ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [(), [(b"authorization", b"Bearer nobody")], [(b"authorization", b"Basic \xff")]])
def test_without_a_key_it_is_401(headers):
    """Peer failure 24."""
    with pytest.raises(errors.GatewayCredential):
        head(headers=headers)


PLACES = [
    ("/stripe/v1/charges", BEARER),
    ("/stripe/v1/charges", (b"x-api-key", KEY_BYTES)),
    ("/stripe/v1/charges", (b"gateway-key", KEY_BYTES)),
    ("/gitlab/users/1", (b"private-token", KEY_BYTES)),
    ("/github/repos/a/b", (b"authorization", b"token " + KEY_BYTES)),
    ("/maps/find?q=x&key=" + KEY, (b"accept", b"*/*")),
]


@pytest.mark.parametrize(("target", "header"), PLACES)
def test_the_key_never_goes_on_to_the_system(target, header):
    """Peer failure 23: the caller's gateway key forwarded."""
    dummy = [(b"x-api-key", b"dummy")] if header[0] != b"x-api-key" else []
    found = receive(target=target, headers=[header, *dummy])
    assert found.agent.name == "bot"
    assert KEY not in repr(found.request) and "dummy" not in repr(found.request)
    assert KEY not in repr(found)


def test_a_query_parameter_for_the_credential_is_removed_and_no_other_byte():
    assert head(target=f"/maps/find?q=%7Ea+b&key={KEY}&r=%2F", headers=()).target == "/find?q=%7Ea+b&r=%2F"
    assert head(target=f"/maps/find?key={KEY}", headers=()).target == "/find"
    assert head(target="/maps/find?key=dummy&q=x").target == "/find?q=x"


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": [BEARER, (b"user-agent", b"bot " + KEY_BYTES)]},
        {"headers": [BEARER, (b"cookie", b"k=" + KEY_BYTES)]},
        {"headers": [BEARER, (b"x-forwarded-for", KEY_BYTES)]},
        {"headers": [BEARER, (b"private-token", KEY_BYTES)]},
        {"headers": [BEARER, (b"stripe-account", OTHER_KEY.encode())]},
        {"target": "/stripe/v1/charges?customer=" + KEY},
        {"target": "/stripe/v1/charges?customer=gk%5F" + KEY[3:]},
        {"target": "/stripe/v1/charges?key=" + KEY},
        {"target": "/stripe/v1/charges/" + KEY},
        {"target": "/stripe/v1/charges/" + OTHER_KEY},
        {"headers": [(b"authorization", f"Bearer {ODD_KEY}".encode()), (b"user-agent", f"x{ODD_KEY}".encode())]},
    ],
)
def test_a_key_anywhere_else_in_the_head_is_refused(asked):
    with pytest.raises(errors.AmbiguousRequest) as caught:
        head(**asked)
    assert KEY not in caught.value.detail


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_a_key_in_the_body_is_refused(key):
    with pytest.raises(errors.AmbiguousRequest):
        receive("POST", "/stripe/v1/refunds", body=b"charge=" + key.encode())


def test_a_key_without_the_prefix_is_found_in_the_body_too():
    with pytest.raises(errors.AmbiguousRequest):
        receive("POST", "/stripe/v1/refunds", [(b"x-api-key", ODD_KEY.encode())], body=b"x=" + ODD_KEY.encode())


def test_two_different_keys_are_refused():
    with pytest.raises(errors.AmbiguousRequest):
        head(headers=[BEARER, (b"gateway-key", OTHER_KEY.encode())])
    with pytest.raises(errors.AmbiguousRequest):
        head(target=f"/maps/find?key={OTHER_KEY}&q=x")


def test_the_gateways_own_paths_take_the_key_from_any_place_of_any_system():
    for header in (BEARER, (b"private-token", KEY_BYTES), (b"x-api-key", KEY_BYTES)):
        assert http.visit(scope(target="/calls/01aa", headers=[header]), INDEX).agent.name == "bot"
    with pytest.raises(errors.GatewayCredential):
        http.visit(scope(target="/calls/01aa", headers=()), INDEX)


# --- What is sent -------------------------------------------------------------------------------------------------


def test_what_is_sent_is_clean():
    found = head(
        headers=[
            BEARER,
            (b"accept", b"a/b"),
            (b"user-agent", b"ua"),
            (b"cookie", b"s=1"),
            (b"connection", b"close"),
            (b"x-forwarded-for", b"1.2.3.4"),
            (b"x-stainless-lang", b"python"),
            (b"x-noise-level", b"9"),
            (b"stripe-account", b"acct_1"),
            (b"idempotency-key", b"k"),
            (b"gateway-run", b"r"),
            (b"gateway-reason", b"why"),
            (b"content-length", b"0"),
            (b"via", b"1.1 x"),
            (b"te", b"trailers"),
            (b"prefer", b"wait=2, return=minimal"),
        ]
    )
    assert found.headers == (
        ("accept", "a/b"),
        ("user-agent", "ua"),
        ("stripe-account", "acct_1"),
        ("prefer", "return=minimal"),
    )
    assert (found.key, found.run, found.reason, found.prefer_wait, found.prefer_async) == ("k", "r", "why", 2.0, False)


def test_spaces_around_a_value_are_no_part_of_it():
    """Peer failure 22: answered 500 by a naive proxy."""
    found = head(headers=[BEARER, (b"stripe-account", b" acct_1  "), (b"accept", b"\ta/b\t")])
    assert found.headers == (("stripe-account", "acct_1"), ("accept", "a/b"))


def test_a_field_that_nobody_knows_stays_for_the_reader_to_refuse():
    assert names(head(headers=[BEARER, (b"xero-tenant-id", b"t")])) == ["xero-tenant-id"]


def test_overrides_are_refused():
    for name in (b"x-http-method-override", b"x-original-url", b"x-rewrite-url", b"x-method-override"):
        with pytest.raises(errors.AmbiguousRequest):
            head(headers=[BEARER, (name, b"DELETE")])


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"identity, gzip", b"GZIP"])
def test_a_compressed_body_is_refused_before_it_is_read(encoding):
    with pytest.raises(errors.UnsupportedEncoding):
        head(headers=[BEARER, (b"content-encoding", encoding)])


def test_identity_is_no_encoding():
    assert head(headers=[BEARER, (b"content-encoding", b"identity")]).headers == ()


def test_a_trace_state_without_its_parent_means_nothing():
    state = (b"tracestate", b"a=1")
    assert names(head(headers=[BEARER, state])) == []
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    found = head(headers=[BEARER, state, (b"traceparent", trace)])
    assert (names(found), found.traceparent) == (["tracestate"], trace.decode())


def test_what_is_read_again_later_is_the_same():
    """A call that waited is matched and read from its stored request alone."""
    body = b"charge=ch_1&amount=5&metadata[order]=7"
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    request = receive("POST", "/stripe/v1/refunds?", [BEARER, kind, (b"stripe-account", b"a")], body=body).request
    found, variables = INDEX.match(request.system, request.method, request.target.partition("?")[0])
    arguments = INDEX.reader(found).read(request, variables)
    assert arguments.input == {"charge": "ch_1", "amount": 5, "metadata": {"order": "7"}, "stripe-account": "a"}


def test_the_accept_field_can_be_read_of_any_scope():
    assert http.accept_of({"headers": [(b"accept", b"a/b"), (b"accept", b"c/\xff")]}) == "a/b, c/\xff"


names_of_fields = st.sampled_from(
    [
        b"host",
        b"authorization",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"idempotency-key",
        b"prefer",
        b"traceparent",
        b"gateway-run",
        b"gateway-reason",
        b"accept",
        b"x-api-key",
        b"cookie",
        b"expect",
        b"te",
        b"x-a",
        b"stripe-account",
        b"content-encoding",
        b"private-token",
    ]
)
values = st.binary(max_size=12) | st.sampled_from(
    [b"chunked", b"5", b"close", BEARER[1], KEY_BYTES, b"Basic Og==", b"a,b", b"a"]
)
targets = st.lists(
    st.sampled_from(
        ["/", "stripe", "maps", "v1", "charges", "?", "key=", "&", "%41", "%2F", "%ff", "..", ";", "\xe9", "x"]
    ),
    max_size=7,
)


@settings(max_examples=400)
@given(
    st.sampled_from(["GET", "POST", "HEAD", "TRACE"]),
    targets,
    st.lists(st.tuples(names_of_fields, values), max_size=5),
    st.binary(max_size=20),
    st.sampled_from([b"gw", b"stripe.internal", b"api.github.com", None]),
    st.booleans(),
)
def test_garbage_is_never_anything_but_a_gateway_error(method, target, headers, body, host, with_key):
    fields = [*([BEARER] if with_key else []), *headers]
    asked = scope(method, "/" + "".join(target), fields, host)
    http.framing_error(asked)
    with contextlib.suppress(errors.GatewayError):
        http.visit(asked, INDEX)
    try:
        received = http.receive(asked, body, INDEX)
        found, variables = INDEX.match(received.system.name, received.head.method, received.head.path)
        INDEX.reader(found).read(received.request, variables)
    except errors.GatewayError:
        return
    assert KEY not in repr(received.request)
    assert not {"authorization", "cookie", "host", "connection", "x-api-key"} & set(names(received.head))
