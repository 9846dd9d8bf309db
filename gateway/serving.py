"""One port, served until the process is told to stop, and what every process does meanwhile."""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeGuard

import uvicorn

from gateway.doors.ending import EndingServer
from gateway.doors.exchange import BrokenOff
from gateway.doors.protocol import StrictProtocol
from gateway.doors.stalled import close_stalled
from gateway.duty import Duty
from gateway.parts import Parts
from gateway.tasks import spawn

Readiness = Callable[[], Awaitable[list[str]]]
"""Sentences about why the gateway is not to be trusted with effects; none if it is."""
KEEP_ALIVE_SECONDS = 75
"""Longer than the usual 60 s of load balancers, so that they close idle connections and not we."""
COLLECT_AFTER = 50_000
"""Objects between two collections of the youngest generation; a few hundred calls."""


async def serve(
    duty: Duty, parts: Parts, app: Any, duties: list[Coroutine[Any, Any, None]], readiness: Readiness | None = None,
    close_streams: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    listen = parts.generations.current.routes.listen
    config = uvicorn.Config(
        app,
        http=StrictProtocol,
        ws="none",
        loop="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(parts.settings.shutdown_grace),
        ssl_certfile=listen.certificate or None,
        ssl_keyfile=listen.private_key or None,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    server = EndingServer(config, close_streams)
    spawn(parts.generations.watch(), "watch the configuration")
    spawn(_end_with_the_supervisor(duty, server), "end with the supervisor")
    spawn(close_stalled(lambda: filter(_strict, server.server_state.connections)), "close stalled connections")
    spawn(_tell_when_ready(duty, server, readiness), "tell when ready")
    for coroutine in duties:
        spawn(coroutine, "a duty of the steward")
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: spawn(parts.generations.reload(), "reload"))
    # What is loaded now lives as long as the process, so the collector need not look at it again, and a call makes no
    # cycles, so it need not look often: a quarter of the CPU of a call otherwise.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    await server.serve(sockets=duty.sockets())
    await parts.upstream.close()
    await parts.journal.close()


def _is_news(record: logging.LogRecord) -> bool:
    """An answer that breaks off ends its connection by an exception, which has been told where it was raised."""
    return not (record.exc_info and record.exc_info[0] is BrokenOff)


def _strict(connection: object) -> TypeGuard[StrictProtocol]:
    """All connections are: uvicorn makes them with the class that it is given."""
    return isinstance(connection, StrictProtocol)


async def _tell_when_ready(duty: Duty, server: uvicorn.Server, readiness: Readiness | None) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    duty.ready(await readiness() if readiness is not None else ())


async def _end_with_the_supervisor(duty: Duty, server: uvicorn.Server) -> None:
    await duty.orphaned()
    server.should_exit = True
