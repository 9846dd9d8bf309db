"""A unix socket in front of a Redis that kills whoever is about to hear a certain reply.

    with killing(valkey.path, folder / "relay") as relay:      # the gateway's GATEWAY_REDIS_URL is relay.url
        relay.victims_write = b'"type":"Answered"'

The next process that sends these bytes dies by SIGKILL once the server has done what they ask for, without hearing of
it: the very moment between a fact that is durable and its consequence.
"""

import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class KillingRelay:
    server: str
    path: Path
    victims_write: bytes = b""
    """Empty: nobody is killed."""
    killed: list[int] = field(default_factory=list)
    """Process ids."""

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.server)
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        doomed = threading.Event()
        threading.Thread(target=self._replies, args=(server, client, doomed), daemon=True).start()
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if self.victims_write and self.victims_write in data:
                    self.victims_write = b""
                    doomed.set()
                server.sendall(data)
        server.close()

    def _replies(self, server: socket.socket, client: socket.socket, doomed: threading.Event) -> None:
        """A gateway sends one batch at a time, so what comes next is the reply to the batch that was sent last."""
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if doomed.is_set():
                    self._kill(client)
                    break
                client.sendall(data)
        client.close()

    def _kill(self, client: socket.socket) -> None:
        packed = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, _, _ = struct.unpack("3i", packed)
        self.killed.append(pid)  # before anybody can notice
        os.kill(pid, signal.SIGKILL)


@contextmanager
def killing(server: str, path: Path) -> Iterator[KillingRelay]:
    relay = KillingRelay(server, path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=relay.serve, args=(listener,), daemon=True).start()
        yield relay
