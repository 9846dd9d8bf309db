"""Sessions hold as long as they and the credential behind them do, by the journal's clock, and no longer."""

import asyncio
import hashlib
from dataclasses import dataclass, field

from gateway.console.sessions import LASTS_MS, Proof, Sessions
from gateway.core.routes import Person, Routes


@dataclass
class Kept:
    values: dict[str, bytes] = field(default_factory=dict)

    async def put(self, key, value, milliseconds):
        assert milliseconds == LASTS_MS
        self.values[key] = value

    async def get(self, key):
        return self.values.get(key)

    async def drop(self, key):
        self.values.pop(key, None)


def people(*found):
    return Routes(people={person.name: person for person in found})


ANN = Person(name="ann", tokens=("t1",), email="Ann@Acme.example")
TOKEN = Proof("token", "t1")


def test_a_session_is_its_persons_until_its_time_is_over():
    kept = Kept()
    sessions = Sessions(kept)

    async def story():
        name = await sessions.begin(TOKEN, 1_000)
        found = await sessions.find(name, people(ANN), 1_000 + LASTS_MS - 1)
        assert found is not None and found.person == ANN and found.csrf != name
        assert await sessions.find(name, people(ANN), 1_000 + LASTS_MS) is None
        assert not kept.values

    asyncio.run(story())


def test_without_the_token_or_the_person_it_is_over_for_good():
    async def story(then):
        sessions = Sessions(Kept())
        name = await sessions.begin(TOKEN, 0)
        assert await sessions.find(name, then, 1) is None
        assert await sessions.find(name, people(ANN), 1) is None

    for then in (people(), people(Person(name="ann", tokens=("t2",)))):
        asyncio.run(story(then))


def test_two_are_never_alike_and_redis_holds_no_cookie():
    kept = Kept()

    async def story():
        names = [await Sessions(kept).begin(TOKEN, 0) for _ in range(2)]
        assert len(set(names)) == 2 and min(map(len, names)) >= 43
        assert not any(name in key or name.encode() in value for name in names for key, value in kept.values.items())
        first, second = [await Sessions(kept).find(name, people(ANN), 1) for name in names]
        assert first is not None and second is not None and first.csrf != second.csrf
        assert first.receipt("a", "b") == first.receipt("a", "b") != second.receipt("a", "b")
        assert first.receipt("a", "b") != first.receipt("ab", "")

    asyncio.run(story())


def test_a_name_that_nobody_gave_out_is_no_session():
    async def story():
        assert await Sessions(Kept()).find("", people(ANN), 0) is None
        assert await Sessions(Kept()).find(hashlib.sha256(b"x").hexdigest(), people(ANN), 0) is None

    asyncio.run(story())


def test_a_verified_address_is_one_persons_or_nobodys():
    proof = Proof("oidc", "sub-1", "ann@acme.example")
    assert proof.person(people(ANN)) == ANN
    assert proof.person(people(ANN, Person(name="twin", email="ann@ACME.example"))) is None
    assert Proof("oidc", "sub-1").person(people(Person(name="none"))) is None
    assert Proof("oidc", "t1", "x@acme.example").person(people(ANN)) is None


def test_whoever_has_a_subject_is_known_by_it_alone():
    bea = Person(name="bea", oidc="sub-2", email="bea@acme.example")
    assert Proof("oidc", "sub-2").person(people(ANN, bea)) == bea
    assert Proof("oidc", "sub-3", "bea@acme.example").person(people(ANN, bea)) is None
