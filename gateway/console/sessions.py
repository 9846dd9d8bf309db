"""Who is at the page: a person who signed in, for twelve hours, unless they or routes.yaml end it before.

The cookie is a random name and nothing else; what it stands for is in Redis, so a session survives restarts, is the
same on every host and ends everywhere at once. A session names the credential by which the person came in and is
looked up in today's routes at every request: without that token, or that person, it is over. A session is always made
at sign-in and never taken from a request, so nobody can be given a session that somebody else knows.
"""

import hashlib
import secrets as random
from dataclasses import dataclass
from typing import Protocol

import orjson

from gateway.core.routes import Person, Routes

LASTS_MS = 12 * 3_600_000
"""From the sign-in; it is not extended by use, so a forgotten browser is safe the next morning."""


class ShortLived(Protocol):
    """`gateway.adapters.redis.short_lived.RedisShortLived`. Raises JournalUnavailable."""

    async def put(self, key: str, value: bytes, milliseconds: int) -> None: ...
    async def get(self, key: str) -> bytes | None: ...
    async def drop(self, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Proof:
    """The credential by which somebody came in. It is worth what today's routes say."""

    kind: str
    """`token`, or `oidc` for an identity provider."""
    value: str
    """SHA-256 of the token, hex; or the identity provider's subject."""
    email: str = ""
    """The address that the identity provider has verified."""

    def person(self, routes: Routes) -> Person | None:
        """Whose it is today."""
        found = [person for person in routes.people.values() if self._names(person)]
        return found[0] if len(found) == 1 else None  # two people with one address are nobody

    def _names(self, person: Person) -> bool:
        if self.kind == "token":
            return self.value in person.tokens
        if person.oidc:
            return self.value == person.oidc
        return bool(self.email) and person.email.casefold() == self.email.casefold()


@dataclass(frozen=True, slots=True)
class Session:
    person: Person
    id: str
    """What the browser holds. Never logged or shown."""
    csrf: str
    """What every form of this session carries."""
    until: int
    """The journal's time at which it is over."""

    def receipt(self, *parts: str) -> str:
        """A name for one thing done in this session: the same for a form that is sent twice, never another's."""
        return "page-" + hashlib.sha256("\0".join((self.id, *parts)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Sessions:
    kept: ShortLived

    async def begin(self, proof: Proof, now: int) -> str:
        """A new session for whoever proved that; what the browser must hold."""
        name = random.token_urlsafe(32)
        told = {
            "kind": proof.kind, "value": proof.value, "email": proof.email, "csrf": random.token_urlsafe(32),
            "until": now + LASTS_MS,
        }  # fmt: skip
        await self.kept.put(_key(name), orjson.dumps(told), LASTS_MS)
        return name

    async def find(self, name: str, routes: Routes, now: int) -> Session | None:
        """The session that the browser names, if it and the credential behind it still hold."""
        data = await self.kept.get(_key(name)) if name else None
        if data is None:
            return None
        told = orjson.loads(data)
        person = Proof(told["kind"], told["value"], told["email"]).person(routes)
        if person is None or now >= told["until"]:
            await self.kept.drop(_key(name))
            return None
        return Session(person, name, told["csrf"], told["until"])

    async def end(self, name: str) -> None:
        if name:
            await self.kept.drop(_key(name))


def _key(name: str) -> str:
    """Its digest, so that a copy of Redis is not a bundle of cookies."""
    return f"session:{hashlib.sha256(name.encode()).hexdigest()}"
