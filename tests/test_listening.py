"""`host:port` becomes listening sockets, or one sentence."""

import socket

import pytest

from gateway.children import CannotStart
from gateway.listening import bind, parse_address, shown
from tests.processes import PATIENCE_SECONDS


@pytest.fixture
def bound():
    listeners = []

    def take(address):
        listeners.extend(bind(address))
        return listeners

    yield take
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("gateway.acme.example:80", ("gateway.acme.example", 80)),
    ],
)
def test_an_address_is_host_and_port(address, expected):
    assert parse_address(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "8080",
        ":8080",
        "host",
        "host:",
        "host:65536",
        "host:http",
        "::1:8080",
        "[::1]",
        "http://h:80",
        "h:80/x",
        "a b:1",
    ],
)
def test_anything_else_is_one_sentence_with_examples(address):
    with pytest.raises(CannotStart, match="is not `host:port`: write for example") as caught:
        bind(address)
    assert repr(address) in str(caught.value)


def test_a_bound_address_accepts_connections(bound):
    (listener,) = bound("127.0.0.1:0")
    with socket.create_connection(listener.getsockname(), timeout=PATIENCE_SECONDS):
        assert shown(listener) == f"127.0.0.1:{listener.getsockname()[1]}"
    assert not listener.get_inheritable()


def test_an_address_in_use_is_one_sentence_and_is_never_shared(bound):
    (listener,) = bound("127.0.0.1:0")
    with pytest.raises(CannotStart, match="is in use by another process: stop that, or change `listen`"):
        bind(shown(listener))
    assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_a_port_can_be_bound_again_while_its_last_connections_fade():
    (listener,) = bind("127.0.0.1:0")
    address = shown(listener)
    client = socket.create_connection(listener.getsockname(), timeout=PATIENCE_SECONDS)
    listener.setblocking(True)
    listener.accept()[0].close()  # the server's side closes first and is left in TIME_WAIT
    client.close()
    listener.close()
    for again in bind(address):
        again.close()


def test_an_address_of_another_machine_is_one_sentence():
    with pytest.raises(CannotStart, match="does not belong to this machine"):
        bind("192.0.2.1:8080")


def test_a_name_is_bound_on_every_address_it_has_here_with_one_port(bound):
    listeners = bound("localhost:0")
    assert {listener.getsockname()[0] for listener in listeners} <= {"127.0.0.1", "::1"}
    assert len({listener.getsockname()[1] for listener in listeners}) == 1


def test_a_name_that_means_nothing_is_one_sentence(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(CannotStart, match="cannot be resolved: Name or service not known"):
        bind("nowhere.example:80")


def test_ipv6_is_shown_in_brackets(bound):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        (listener,) = bound("[::1]:0")
    except CannotStart:
        pytest.skip("no IPv6 here")
    assert shown(listener) == f"[::1]:{listener.getsockname()[1]}"
