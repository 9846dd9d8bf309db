"""A Redis Cluster as one line: every node gets a pipelining connection of its own, every command goes to its node.

All keys of a partition share a hash tag, so an append is one command to one node. The topology is asked for when it
is not known, and forgotten whenever a node says that it has moved on; whoever asked may then ask again.

It must never send a command to two nodes by itself, and never separate WAITAOF from the write that it waits for:
a command without a key goes to the node of the command before it, on the same connection.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.crc import key_slot

from gateway.adapters.redis.connecting import maker
from gateway.adapters.redis.line import Elsewhere, Line, LineBroken, LineRefused, OnConnect, Reply, refusal
from gateway.tasks import spawn

FIRST_KEY = {"EVAL": 3, "EVALSHA": 3}
"""Where the first key of a command stands, if not right behind its name."""
KEYLESS = {"TIME", "WAITAOF", "SCRIPT", "CLUSTER"}


@dataclass(slots=True)
class ClusterLine:
    """The same two methods as `Line`."""

    url: str
    """redis+cluster://user:password@host:port of any node."""
    on_connect: OnConnect
    """Run on every fresh connection to every node."""
    _lines: dict[str, Line] = field(default_factory=dict)
    _slots: list[tuple[int, int, str]] = field(default_factory=list)
    """First slot, last slot, address of the primary."""

    async def call(self, *command: Any) -> Reply:
        """The reply to one command. Raises LineBroken or LineRefused."""
        if command[0] == "SCRIPT":
            return await self._everywhere(*command)
        [reply] = await self.calls(command)
        if isinstance(reply, Exception):
            raise refusal(reply)
        return reply

    async def calls(self, *commands: tuple[Any, ...]) -> list[Reply]:
        """The replies in order; those for one node travel together. An error reply is an item, not raised."""
        groups: dict[str, list[int]] = {}
        address = ""
        for index, command in enumerate(commands):
            address = await self._address(command, address)
            groups.setdefault(address, []).append(index)
        asked = [self._line(place).calls(*(commands[index] for index in group)) for place, group in groups.items()]
        answered = await asyncio.gather(*asked, return_exceptions=True)
        replies: list[Reply] = [None] * len(commands)
        for group, several in zip(groups.values(), answered, strict=True):
            if isinstance(several, BaseException):
                self._slots = []
                raise several
            for index, reply in zip(group, several, strict=True):
                replies[index] = reply
        if any(isinstance(reply, Exception) and isinstance(refusal(reply), Elsewhere) for reply in replies):
            self._slots = []
            raise LineBroken("the cluster is being rearranged")
        return replies

    def post(self, *command: Any) -> None:
        """Send a command that may never be executed. Its reply, or error, is nobody's."""
        spawn(self.call(*command), "posted to the cluster", expected=(LineBroken, LineRefused))

    async def close(self) -> None:
        for line in self._lines.values():
            await line.close()

    async def _everywhere(self, *command: Any) -> Reply:
        await self._learn()
        return [await self._line(address).call(*command) for address in {address for _, _, address in self._slots}]

    async def _address(self, command: tuple[Any, ...], before: str) -> str:
        await self._learn()
        if command[0] in KEYLESS:
            return before or self._slots[0][2]
        key = command[FIRST_KEY.get(command[0], 1)]
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        for first, last, address in self._slots:
            if first <= slot <= last:
                return address
        self._slots = []
        raise LineBroken(f"no node of the cluster serves slot {slot}")

    async def _learn(self) -> None:
        """Ask any node that answers who serves what. Raises LineBroken if none does."""
        if self._slots:
            return
        trouble: Exception = LineBroken("no node was asked")
        for address in (*self._lines, urlsplit(self.url).netloc.rpartition("@")[2]):
            try:
                found = await self._line(address).call("CLUSTER", "SLOTS")
            except (LineBroken, LineRefused) as error:
                trouble = error
                continue
            host = address.rpartition(":")[0]  # a node that does not know its own name answers without one
            self._slots = [
                (first, last, f"{primary[0].decode() if primary[0] else host}:{primary[1]}")
                for first, last, primary, *_ in found
            ]
            if self._slots:
                return
            trouble = LineBroken(f"the cluster node {address} knows of no slots")
        raise LineBroken(str(trouble)) from trouble

    def _line(self, address: str) -> Line:
        if address not in self._lines:
            parts = urlsplit(self.url)
            login, at, _ = parts.netloc.rpartition("@")
            url = urlunsplit(("redis", f"{login}{at}{address}", parts.path, parts.query, ""))
            self._lines[address] = Line(maker(url), self.on_connect)
        return self._lines[address]
