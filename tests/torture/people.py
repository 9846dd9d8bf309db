"""The approver's service under torture: hears of held calls, and says what the fate of their order is.

Signs and verifies with `gateway.demo.approver`, which shares no code with the gateway. A callback is repeated with
the same webhook-id until it is answered, because the control plane is being killed meanwhile.
"""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from gateway.demo.approver import authentic, new_secret, signature
from tests.torture.wire import Torn, ask, read_message

Fate = Literal["approve", "reject", "ignore"]


@dataclass
class Approver:
    fate: Callable[[str], Fate]
    """What is to become of an order."""
    bound: Callable[[str], asyncio.Event]
    """Set when every key of the order is known to the gateway; deciding earlier would make new calls legitimate."""
    secret: str = field(default_factory=new_secret)
    callback_secret: str = field(default_factory=new_secret)
    heard: Counter[str] = field(default_factory=Counter)
    """Notices per call."""
    said: Counter[str] = field(default_factory=Counter)
    forged: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_message(reader)) is not None:
                genuine = authentic(self.secret, request.headers, request.body, time.time())
                self.forged += not genuine
                writer.write(b"HTTP/1.1 %d Whatever\r\ncontent-length: 0\r\n\r\n" % (200 if genuine else 401))
                await writer.drain()
                told = json.loads(request.body)
                if genuine and told["type"] == "approval.requested":
                    task = asyncio.create_task(self._decide(told["data"]))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _decide(self, notice: dict[str, object]) -> None:
        call = str(notice["call"])
        order = str(notice["input"]["order"])  # type: ignore[index]
        self.heard[call] += 1
        fate = self.fate(order)
        if fate == "ignore" or self.heard[call] > 1:
            return
        await asyncio.wait_for(self.bound(order).wait(), 60)
        shown = {name: notice[name] for name in ("call", "approval", "fingerprint")}
        body = json.dumps({**shown, "decision": fate, "approver": "lead", "reason": "fate"}).encode()
        place, message = urlsplit(str(notice["callback"])), f"msg_{uuid.uuid4().hex}"
        while True:
            stamp = int(time.time())
            headers = {
                "content-type": "application/json", "webhook-id": message, "webhook-timestamp": str(stamp),
                "webhook-signature": signature(self.callback_secret, message, stamp, body),
            }  # fmt: skip
            try:
                answer = await ask(f"http://{place.netloc}", "POST", place.path, headers, body, patience=5.0)
            except Torn:
                await asyncio.sleep(0.2)
                continue
            self.said[f"{fate} {answer.status}"] += 1
            if answer.status < 500:
                return
            await asyncio.sleep(0.2)
