"""The smallest HTTP/1.1 that the torture needs: one request per connection, which may be torn at any moment.

A client library would retry, pool and hide what happened; here a request is either answered, or it is not.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


class Torn(Exception):
    """No whole answer came: refused, reset, closed early, or the client gave up."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer."""

    first: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None if the peer closed instead. Raises EOFError or OSError if it broke off."""
    line = await reader.readline()
    if not line:
        return None
    headers: dict[str, str] = {}
    while header := (await reader.readline()).decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline() or b"0", 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Message(line.decode("latin-1").strip(), headers, body)


async def ask(
    url: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, patience: float
) -> Message:
    """One request on a connection of its own. Raises Torn; after `patience` seconds the client resets and leaves."""
    place = urlsplit(url)
    head = [f"{method} {path} HTTP/1.1", f"host: {place.netloc}", "connection: close", f"content-length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write("\r\n".join([*head, "", ""]).encode() + body)
            await writer.drain()
            answer = await read_message(reader)
    except (OSError, EOFError, TimeoutError, ValueError) as error:
        raise Torn(f"{type(error).__name__}: {error}") from error
    finally:
        if writer is not None:
            writer.transport.abort()
    if answer is None:
        raise Torn("closed without an answer")
    return answer
