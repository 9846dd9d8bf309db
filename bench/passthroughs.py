"""The ungoverned proxies that people run today, written as people write them, and two floors for scale.

Fair to them: one client for the life of the process, no limit on its connections, access log off, uvicorn on uvloop
and httptools, bodies buffered (streaming them costs more). None of them authenticates, judges, deduplicates or
records anything.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
# What RFC 9110 section 7.6.1 tells every proxy to drop, and the fields that each hop writes itself.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length"}
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def starlette_aiohttp(upstream: str) -> Starlette:
    import aiohttp

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        ) as app.state.session:
            yield

    async def proxy(request: Request) -> Response:
        url = upstream + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        async with request.app.state.session.request(
            request.method, url, headers=_forwarded(request), data=await request.body(), allow_redirects=False
        ) as answer:
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return Response(await answer.read(), answer.status, headers)

    return Starlette(routes=[Route("/{path:path}", proxy, methods=METHODS)], lifespan=lifespan)


def starlette_httpx(upstream: str) -> Starlette:
    import httpx

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(base_url=upstream, limits=limits, timeout=30.0) as app.state.client:
            yield

    async def proxy(request: Request) -> Response:
        url = httpx.URL(path=request.url.path, query=request.url.query.encode())
        answer = await request.app.state.client.request(
            request.method, url, headers=_forwarded(request), content=await request.body()
        )
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        return Response(answer.content, answer.status_code, headers)

    return Starlette(routes=[Route("/{path:path}", proxy, methods=METHODS)], lifespan=lifespan)


def starlette_httpx_as_installed(upstream: str) -> Starlette:
    """httpx as `pip install starlette httpx` leaves it: without sniffio, which httpcore looks for at every request.

    This environment has sniffio through another package, so here the import system searches for a name that is as
    absent as sniffio is there.
    """
    sys.modules.pop("sniffio", None)
    sys.meta_path[:] = [_WithoutSniffio if finder is PathFinder else finder for finder in sys.meta_path]
    return starlette_httpx(upstream)


class _WithoutSniffio:
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return PathFinder.find_spec("sniffio_is_not_installed" if name == "sniffio" else name, path, target)


def _forwarded(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}


def asgi_pyreqwest(upstream: str) -> App:
    """The least that this gateway could cost with its own HTTP stack: no framework, no policy, no record."""
    from pyreqwest.client import Client, ClientBuilder

    client: Client | None = None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal client
        if scope["type"] == "lifespan":
            client = ClientBuilder().http1_only().no_proxy().build()
            await _lifespan(receive, send)
            return
        assert client is not None
        body = await _body(receive)
        query = scope["query_string"].decode()
        url = upstream + scope["raw_path"].decode() + (f"?{query}" if query else "")
        headers = [
            (name.decode(), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name.decode() not in HOP_BY_HOP
        ]
        request = client.request(scope["method"], url).headers(headers)
        if body:
            request = request.body_bytes(body)
        answer = await request.build().send()
        content = bytes(await answer.bytes())
        kept = [
            (name.encode(), value.encode("latin-1")) for name, value in answer.headers.items() if name not in HOP_BY_HOP
        ]
        kept.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": kept})
        await send({"type": "http.response.body", "body": content})

    return app


def asgi_alone(_: str) -> App:
    """uvicorn answering by itself, without an upstream: what merely being reached costs."""
    from bench.upstream import ANSWER

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        await _body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})

    return app


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


APPS: dict[str, Callable[[str], App | Starlette]] = {
    "aiohttp": starlette_aiohttp,
    "httpx": starlette_httpx_as_installed,
    "httpx-sniffio": starlette_httpx,
    "pyreqwest": asgi_pyreqwest,
    "uvicorn": asgi_alone,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="One ungoverned pass-through proxy.")
    parser.add_argument("name", choices=APPS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    app: Any = APPS[arguments.name](arguments.upstream)
    uvicorn.run(
        app, host="127.0.0.1", port=arguments.port, loop="uvloop", http="httptools", access_log=False, log_level="error"
    )


if __name__ == "__main__":
    main()
