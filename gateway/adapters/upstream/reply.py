"""An answer whose status line came: its headers as received, and its body, searched for the credential."""

import asyncio
from collections.abc import AsyncIterator
from operator import itemgetter

from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from gateway.adapters.upstream.causes import last_cause
from gateway.adapters.upstream.room import Room
from gateway.clock import uptime
from gateway.core.echo import Echoed, Scanner, Unreadable, contains
from gateway.ports import BodyBroken, CredentialEchoed

VALUE = itemgetter(1)


WITHOUT_BODY = frozenset({204, 304})
"""Statuses of answers that have none, whatever length they announce; what we then say of a length must be nothing."""


class PyreqwestReply:
    """`gateway.ports.Reply`. One reader at a time."""

    __slots__ = (
        "_coding", "_deadline", "_echoed", "_free", "_length", "_over", "_reader", "_request", "_searched",
        "_seen", "_size", "_untimed", "headers", "status", "unreadable",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        request: StreamRequest,
        response: Response,
        searched: tuple[bytes, ...],
        deadline: float,
        free: Room,
        *,
        untimed: bool,
    ) -> None:
        """`searched`: the credential's forms. `deadline`: by `uptime`. `free` is given back. `untimed`: the first part
        of the body is here already, or the client's own timeout for it is enough."""
        self.status: int = response.status
        fields, self.unreadable = _fields(response)
        self.headers = _pairs(fields if "connection" not in self.unreadable else _of_the_body(fields))
        self._request, self._reader = request, response.body_reader
        self._searched, self._deadline, self._untimed = searched, deadline, untimed
        self._free: Room | None = free
        self._seen: list[bytes] = []
        self._size = 0
        self._length, self._coding = _framing(fields)
        self._echoed = bool(searched) and contains(searched, b"\n".join(map(VALUE, self.headers)))
        if self._echoed:
            self.headers = ()
        self._over = method == "HEAD" or self.status in WITHOUT_BODY
        if self.status in WITHOUT_BODY:
            self.headers = tuple([pair for pair in self.headers if pair[0] != b"content-length"])
        if self._over:
            self._length = 0
            self._give_back()

    async def read(self, limit: int) -> bytes | None:
        """See ports.Reply."""
        self._refuse_echo()
        if self._length > limit:
            return None
        if self._untimed and not self._over and not self._seen:
            await self._more()
        if not self._over and self._size <= limit:
            await self._until_over(limit)
        if self._size > limit:
            return None
        body = self._seen[0] if len(self._seen) == 1 else b"".join(self._seen)
        if self._searched:
            self._search(body)
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        """See ports.Reply. Each part may last as long as the system's timeout; all of them may last for ever."""
        self._refuse_echo()
        try:
            scanner = Scanner(self._searched, self._coding) if self._searched else None
            while self._seen or not self._over:
                if not self._seen:
                    await self._more()
                parts, self._seen = self._seen, []
                for part in parts:
                    if passing := part if scanner is None else scanner.pass_on(part):
                        yield passing
            if scanner is not None and (rest := scanner.rest()):
                yield rest
            return
        except Echoed:
            self._echoed = True
        except Unreadable as problem:
            raise _withheld(problem) from None
        finally:
            await self.close()
        raise CredentialEchoed("the system's answer contains its own credential")

    async def close(self) -> None:
        """Gives the connection back, or up if the body was not read to its end."""
        if self._give_back() and not self._over:
            await self._request.__aexit__(None, None, None)

    def _give_back(self) -> bool:
        """True the first time."""
        free, self._free = self._free, None
        if free is not None:
            free.leave()
        return free is not None

    async def _until_over(self, limit: int) -> None:
        try:
            async with asyncio.timeout(self._deadline - uptime()):
                while not self._over and self._size <= limit:
                    await self._more()
            return
        except TimeoutError:
            pass
        await self.close()
        raise BodyBroken("the system's answer did not end within its timeout")

    async def _more(self) -> None:
        """The next part of the body. Raises BodyBroken."""
        try:
            chunk = await self._reader.read_chunk()
        except (PyreqwestError, RuntimeError) as error:
            problem = last_cause(error)
        else:
            if chunk is not None:
                self._seen.append(bytes(chunk))
                self._size += len(chunk)
            self._over = chunk is None or self._size == self._length
            if self._over:
                self._give_back()
            return
        await self.close()
        raise BodyBroken(f"the system's answer broke off: {problem}")

    def _search(self, body: bytes) -> None:
        try:
            if not self._coding:
                self._echoed = contains(self._searched, body)
            else:
                Scanner(self._searched, self._coding).pass_on(body)
        except Echoed:
            self._echoed = True
        except Unreadable as problem:
            raise _withheld(problem) from None
        self._refuse_echo()

    def _refuse_echo(self) -> None:
        if self._echoed:
            self._seen = []
            raise CredentialEchoed("the system's answer contains its own credential")


def _withheld(problem: Unreadable) -> BodyBroken:
    return BodyBroken(f"the system's answer cannot be searched for the credential: {problem}")


Fields = dict[str, str | list[str]]
"""Headers by lower-case name, in their order; a list where there are several."""


def _fields(response: Response) -> tuple[Fields, tuple[str, ...]]:
    """As received; and the names of those with bytes that pyreqwest cannot give out."""
    found = response.headers
    try:
        return found.dict_multi_value(), ()
    except ValueError:
        pass
    readable: dict[str, str | list[str]] = {}
    unreadable: list[str] = []
    for name in list(found.keys()):  # each value once, in order: pop removes a value even if it cannot convert it
        try:
            value = found.pop(name)
        except ValueError:
            unreadable.append(name)
        else:
            readable[name] = [*values, value] if isinstance(values := readable.get(name, []), list) else [values, value]
    return readable, tuple(unreadable)


def _of_the_body(fields: Fields) -> Fields:
    """What is left where Connection cannot be read, so that nobody knows which other fields were meant only for us."""
    return {name: value for name, value in fields.items() if name.startswith("content-")}


def _pairs(fields: Fields) -> tuple[tuple[bytes, bytes], ...]:
    if list not in map(type, fields.values()):
        return tuple([(name.encode(), value.encode()) for name, value in fields.items()])  # type: ignore[union-attr]
    pairs: list[tuple[bytes, bytes]] = []
    for name, value in fields.items():
        if isinstance(value, str):
            pairs.append((name.encode(), value.encode()))
        else:
            pairs += [(name.encode(), one.encode()) for one in value]
    return tuple(pairs)


def _framing(fields: Fields) -> tuple[int, str]:
    """The body's declared length (-1: it ends when it ends) and its codings. hyper has checked that they make sense."""
    length, codings = fields.get("content-length", ""), fields.get("content-encoding", "")
    if not isinstance(length, str) or not length.isdigit() or "transfer-encoding" in fields:
        length = "-1"  # `5, 5` is legal; then the body ends where hyper says
    return int(length), codings if isinstance(codings, str) else ", ".join(codings)
