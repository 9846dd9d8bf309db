"""Addresses have one spelling, and no spelling of a metadata address gets through."""

import pytest

from gateway.config.addresses import (
    host_of,
    listener,
    network,
    only_here,
    refused_address,
    same_socket,
    upstream,
    webhook,
)


@pytest.mark.parametrize(
    ("text", "origin", "base"),
    [
        ("https://api.stripe.com", "https://api.stripe.com", ""),
        ("https://API.Stripe.com/", "https://api.stripe.com", ""),
        ("HTTPS://a.example:443/v1/", "https://a.example", "/v1"),
        ("http://127.0.0.1:8420/base/path", "http://127.0.0.1:8420", "/base/path"),
        ("http://localhost:80", "http://localhost", ""),
        ("http://[::1]:9000", "http://[::1]:9000", ""),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", ""),
        ("https://my_host.internal", "https://my_host.internal", ""),
    ],
)
def test_an_upstream_is_an_origin_and_perhaps_a_base_path(text, origin, base):
    found = upstream(text)
    assert (found.origin, found.base_path) == (origin, base)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("api.stripe.com", "an http or https address"),
        ("ftp://a", "an http or https address"),
        ("unix:///run/x.sock", "an http or https address"),
        ("https://", "an http or https address"),
        ("https:///path", "an http or https address"),
        ("https://a.example/x y", "without spaces"),
        ("https://a.example\\@evil", "without spaces"),
        ("https://ä.example", "xn--"),
        ("https://a.example\n", "without spaces"),
        ("https://user:pass@a.example", "must not contain a user name or password"),
        ("https://@a.example", "must not contain a user name or password"),
        ("https://a.example?x=1", "must not contain ?"),
        ("https://a.example/?", "must not contain ?"),
        ("https://a.example/#f", "must not contain #"),
        ("https://a.example:0", "a port from 1 to 65535"),
        ("https://a.example:", "a port from 1 to 65535"),
        ("https://a.example:99999", "at most one port"),
        ("https://a.example:x", "at most one port"),
        ("https://a.example//b", "plain base path"),
        ("https://a.example/../b", "plain base path"),
        ("https://a.example/%2e", "plain base path"),
        ("https://a.example/b;c", "plain base path"),
        ("https://a..example", "valid host name"),
        ("https://-a.example", "valid host name"),
        ("http://2130706433", "four decimal numbers"),
        ("http://0x7f.1", "four decimal numbers"),
        ("http://127.1", "four decimal numbers"),
        ("http://0177.0.0.1", "four decimal numbers"),
        ("http://1.2.3.4.5", "four decimal numbers"),
        ("http://[fe80::1%25eth0]", "zone"),
        ("http://[::1", "at most one port"),
    ],
)
def test_an_address_that_could_mean_something_else_is_refused_without_quoting_it(text, fragment):
    with pytest.raises(ValueError, match="must") as caught:
        upstream(text)
    assert fragment in str(caught.value) and "pass" not in str(caught.value).replace("password", "")


METADATA = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("host", METADATA)
def test_no_spelling_of_a_metadata_address_is_allowed_unless_it_is_listed(host):
    assert refused_address(host, ())
    assert refused_address(host, ("10.0.0.0/8", "2001:db8::/32"))
    assert not refused_address(host, ("0.0.0.0/0", "::/0"))
    shown = f"[{host}]" if ":" in host else host
    with pytest.raises(ValueError, match="link-local or cloud-metadata"):
        webhook(f"http://{shown}/hook")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fd00::1", "8.8.8.8", "a.example"])
def test_loopback_private_and_public_addresses_are_the_operators_word(host):
    assert not refused_address(host, ())


def test_a_single_address_lifts_the_refusal_for_itself_alone():
    assert not refused_address("169.254.169.254", ("169.254.169.254/32",))
    assert refused_address("169.254.169.253", ("169.254.169.254/32",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("[::1]:1", "[::1]:1"),
        ("LocalHost:65535", "localhost:65535"),
        ("0.0.0.0:80", "0.0.0.0:80"),
    ],
)
def test_a_listener_is_host_and_port(text, expected):
    assert listener(text) == expected


@pytest.mark.parametrize(
    "text",
    ["8080", ":8080", "127.0.0.1", "a:0", "a:65536", "a:08", "::1:80", "[a]:80", "[::1]", "a b:80", "300.1.1.1:80"],
)
def test_anything_else_is_no_listener(text):
    with pytest.raises(ValueError, match="must"):
        listener(text)


def test_networks_are_cidr_and_an_address_is_a_network_of_one():
    assert network("10.0.0.0/8") == "10.0.0.0/8" and network("169.254.169.254") == "169.254.169.254/32"
    with pytest.raises(ValueError, match="host bits must be zero"):
        network("10.0.0.1/8")
    with pytest.raises(ValueError, match="must be a network"):
        network("ten")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8081", True),
        ("http://localhost:8081", True),
        ("http://a.localhost", True),
        ("http://[::1]:8081", True),
        ("http://0.0.0.0:8081", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("https://gateway.acme.example", False),
        ("http://10.0.0.4:8081", False),
    ],
)
def test_only_this_machine_reaches_loopback_and_the_wildcard(url, here):
    assert only_here(host_of(url)) is here


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "[::]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("0.0.0.0:80", "0.0.0.0:81", False),
    ],
)
def test_the_wildcard_takes_the_port_of_every_address(one, other, same):
    assert same_socket(one, other) is same


def test_a_webhook_keeps_its_query_and_gets_a_path():
    assert webhook("https://A.example:443?x=1") == "https://a.example/?x=1"
    assert webhook("http://127.0.0.1:9/hook") == "http://127.0.0.1:9/hook"
