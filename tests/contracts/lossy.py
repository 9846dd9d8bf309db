"""A unix socket in front of a server that loses requests or replies, and then the connection, when told to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


async def _nothing() -> None:
    pass


@dataclass
class Lossy:
    """`async with Lossy(server, path) as line:` then set `lose` to what the next append shall suffer."""

    server: str
    path: Path
    lose: str = ""
    """`request`: it never arrives. `reply`: the server does it and nobody hears."""
    meanwhile: Callable[[], Awaitable[None]] = _nothing
    """Happens after the server did it and before the connection is cut."""
    lost: int = 0
    connections: int = 0
    listener: asyncio.Server | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    async def __aenter__(self) -> Self:
        self.listener = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.listener is not None
        self.listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        to_reader, to_writer = await asyncio.open_unix_connection(self.server)
        back = asyncio.create_task(self._pass_back(to_reader, writer))
        try:
            while data := await reader.read(1 << 20):
                if self.lose and b"EVALSHA" in data:
                    back.cancel()
                    await asyncio.wait([back])
                    await self._swallow(data, to_reader, to_writer)
                    return
                to_writer.write(data)
        except ConnectionError:
            pass
        finally:
            back.cancel()
            to_writer.close()
            writer.close()

    async def _swallow(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, self.lose = self.lose, ""
        if kind == "reply":
            writer.write(data)
            await reader.read(1)  # the server has done it
        self.lost += 1
        await self.meanwhile()

    @staticmethod
    async def _pass_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            writer.write(data)
        writer.close()
