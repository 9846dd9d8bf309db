"""No name and no spelling of an address leads to a metadata service; private networks are fine."""

import asyncio
from collections.abc import Iterable

import pytest

from gateway.adapters.addresses import Addresses
from gateway.core.addresses import refused
from gateway.ports import NeverSent

METADATA = [
    "169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1", "fd00:ec2::254",
    "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1",
    "239.255.255.255", "ff02::1", "255.255.255.255",
]  # fmt: skip
DRESSED = [
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:0:a9fe:a9fe", "64:ff9b::a9fe:a9fe",
    "64:ff9b::169.254.169.254", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:abcd::a9fe:a9fe", "2002:a9fe:a9fe::",
    "2002:a9fe:a9fe::1", "::169.254.169.254", "2001:0:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601",
    "2001:db8::5efe:a9fe:a9fe", "fd01::200:5efe:a9fe:a9fe",
    "::ffff:100.100.100.200", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "64:ff9b::6464:64c8", "2002:6464:64c8::",
]  # fmt: skip
FINE = [
    "127.0.0.1", "127.0.0.53", "::1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "8.8.8.8",
    "2606:4700::1111", "::ffff:10.0.0.1", "64:ff9b::808:808", "2002:808:808::1", "169.253.0.1", "169.255.0.1",
    "100.100.100.201", "fec0::1", "223.255.255.255", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", METADATA + DRESSED)
def test_link_local_metadata_and_multicast_are_refused_in_every_dress(address: str) -> None:
    assert refused(address)


@pytest.mark.parametrize("address", FINE)
def test_loopback_private_and_public_addresses_are_fine(address: str) -> None:
    assert not refused(address)


def test_a_network_that_the_system_lists_is_fine_and_nothing_beside_it() -> None:
    allowed = ("169.254.10.0/24", "fe80::/10")
    assert not refused("169.254.10.7", allowed)
    assert not refused("::ffff:169.254.10.7", allowed)
    assert not refused("fe80::1", allowed)
    assert refused("169.254.169.254", allowed)
    assert refused("169.254.11.7", allowed)


class Book:
    """A resolver that counts, and answers what it is told to."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Iterable[str] | Exception = addresses
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Iterable[str]:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.addresses, Exception):
            raise self.addresses
        return self.addresses


def resolve(book: Book, host: str = "api.example", allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
    return asyncio.run(Addresses(book).resolve(host, 443, allowed, 1.0))


def test_all_addresses_of_a_name_come_once_in_their_order() -> None:
    assert resolve(Book("10.0.0.2", "10.0.0.1", "10.0.0.2")) == ("10.0.0.2", "10.0.0.1")


@pytest.mark.parametrize("position", [0, 1])
def test_one_refused_address_refuses_the_name(position: int) -> None:
    """A name that also leads to metadata is not one to trust with the other address."""
    addresses = ["10.0.0.1"]
    addresses.insert(position, "169.254.169.254")
    with pytest.raises(NeverSent, match=r"'api.example' leads to 169\.254\.169\.254.*allow_addresses"):
        resolve(Book(*addresses))
    assert resolve(Book(*addresses), allowed=("169.254.169.254/32",)) == tuple(addresses)


def test_an_address_instead_of_a_name_is_checked_and_never_looked_up() -> None:
    book = Book()
    assert resolve(book, "127.0.0.1") == ("127.0.0.1",)
    assert resolve(book, "::1") == ("::1",)
    with pytest.raises(NeverSent):
        resolve(book, "169.254.169.254")
    assert book.asked == 0


@pytest.mark.parametrize("failure", [OSError(-2, "Name or service not known"), UnicodeError("label too long"), ()])
def test_a_name_that_leads_nowhere_is_unsent(failure: Exception | tuple[()]) -> None:
    book = Book()
    book.addresses = failure
    with pytest.raises(NeverSent, match=r"'api\.example' does not resolve"):
        resolve(book)


def test_the_operating_system_is_asked_by_default() -> None:
    assert set(asyncio.run(Addresses().resolve("localhost", 80, (), 5.0))) <= {"127.0.0.1", "::1"}
    with pytest.raises(NeverSent, match="does not resolve"):
        asyncio.run(Addresses().resolve("x" * 64 + ".example", 80, (), 5.0))


def test_a_resolver_that_hangs_is_unsent() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(NeverSent, match="took longer than"):
        asyncio.run(Addresses(never).resolve("api.example", 443, (), 0.05))


def test_many_calls_ask_once_and_a_failure_is_asked_again() -> None:
    async def act() -> None:
        addresses = Addresses(book)
        book.addresses = OSError(-3, "Temporary failure")
        with pytest.raises(NeverSent):
            await addresses.resolve("api.example", 443, (), 1.0)
        book.addresses = ("10.0.0.1",)
        found = await asyncio.gather(*(addresses.resolve("api.example", 443, (), 1.0) for _ in range(20)))
        assert set(found) == {("10.0.0.1",)}
        assert book.asked == 2

    book = Book()
    asyncio.run(act())


def test_what_one_system_allows_is_not_allowed_for_another() -> None:
    async def act() -> None:
        addresses = Addresses(Book("169.254.10.7"))
        assert await addresses.resolve("api.example", 443, ("169.254.10.0/24",), 1.0) == ("169.254.10.7",)
        with pytest.raises(NeverSent):
            await addresses.resolve("api.example", 443, (), 1.0)

    asyncio.run(act())


def test_an_old_answer_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.addresses.FRESH_SECONDS", 0.0)

    async def act() -> None:
        addresses = Addresses(book)
        assert await addresses.resolve("api.example", 443, (), 1.0) == ("10.0.0.1",)
        book.addresses = ("169.254.169.254",)
        with pytest.raises(NeverSent):
            await addresses.resolve("api.example", 443, (), 1.0)

    book = Book("10.0.0.1")
    asyncio.run(act())


def test_an_address_that_did_not_answer_comes_last_and_a_single_one_is_asked_for_again() -> None:
    async def act() -> None:
        addresses = Addresses(book)
        await addresses.resolve("api.example", 443, (), 1.0)
        addresses.avoid("api.example", "10.0.0.1")
        assert await addresses.resolve("api.example", 443, (), 1.0) == ("10.0.0.2", "10.0.0.1")
        assert book.asked == 1
        book.addresses = ("10.0.0.3",)
        addresses = Addresses(book)
        await addresses.resolve("api.example", 443, (), 1.0)
        addresses.avoid("api.example", "10.0.0.3")
        book.addresses = ("10.0.0.4",)
        assert await addresses.resolve("api.example", 443, (), 1.0) == ("10.0.0.4",)

    book = Book("10.0.0.1", "10.0.0.2")
    asyncio.run(act())
