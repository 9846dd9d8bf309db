"""A server that can stop although some answers never end by themselves.

uvicorn waits for every answer that has begun before it stops. A stream of events would keep it waiting for the whole
time of grace, so whoever streams is told first.
"""

import socket
from collections.abc import Callable

import uvicorn


class EndingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self.close_streams = close_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.close_streams()
        await super().shutdown(sockets)
