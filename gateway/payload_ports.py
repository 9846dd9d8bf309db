"""What payloads need from the world: whoever makes them unreadable to others.

As `gateway.ports`, these are obligations. Facts carry digests only; the bytes of requests and answers lie beside them
and are never at rest in plain.
"""

from typing import Protocol


class Unreadable(Exception):
    """A payload that cannot be read, though it is there. The message is a sentence that names the key."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key
        """Id of the key under which it was encrypted."""


class KeyMissing(Unreadable):
    """It is whole, as far as anybody can tell, but encrypted under a key that this process does not have."""


class Cipher(Protocol):
    """Makes payload unreadable for whoever has no key, and notices if it was changed or moved elsewhere."""

    ids: tuple[str, ...]
    """Of all its keys, that which encrypts first; none if it leaves everything as it is."""

    def seal(self, call: str, name: str, data: bytes) -> bytes:
        """`data` as it may be at rest, bound to the field `name` of that call."""
        ...

    def open(self, call: str, name: str, data: bytes) -> bytes:
        """What was sealed for that field of that call; what was written before there were keys, as it is.

        Raises KeyMissing, or Unreadable if it was changed, or belongs to something else.
        """
        ...
