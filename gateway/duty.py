"""What a child process is told by the supervisor, and its line back.

The supervisor writes one JSON document into the environment variable GATEWAY_CHILD: the environment and not an
argument, because it holds the Redis URL. Listening sockets and the line come as inherited file descriptors. A child
says `ready` once it serves, and must end when `orphaned` returns: nobody would restart it or stop it any more.
"""

import asyncio
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from gateway.children import READY

VARIABLE = "GATEWAY_CHILD"

# A child that finds a mistake in its configuration ends with this (EX_CONFIG of sysexits.h): trying again is useless.
CONFIGURATION_MISTAKE = 78
# A child that never reached the journal ends with this (EX_UNAVAILABLE): it has waited long enough by itself.
JOURNAL_UNREACHABLE = 69

Role = Literal["worker", "steward"]


class NoDuty(Exception):
    """This process was not started by a supervisor. The message is a sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One child's instructions."""

    role: Role
    number: int
    """Counts workers from 0; always 0 for the steward."""
    listen: tuple[int, ...]
    """Descriptors of listening sockets: the agents' port for a worker, the control plane's for the steward."""
    line: int
    """Descriptor of this child's end of its line."""
    redis_url: str
    """Of the journal: the deployment's, or that of the embedded server."""
    document: Mapping[str, object] = field(default_factory=dict)
    """Whatever the command line told the supervisor to pass on: paths of routes, policies, data."""

    def encode(self) -> str:
        """The document for the environment."""
        return json.dumps(
            {
                "role": self.role,
                "number": self.number,
                "listen": list(self.listen),
                "line": self.line,
                "redis_url": self.redis_url,
                "document": dict(self.document),
            }
        )

    def sockets(self) -> list[socket.socket]:
        """The listening sockets, as objects. Call once: each object owns its descriptor."""
        return [socket.socket(fileno=descriptor) for descriptor in self.listen]

    def ready(self, problems: Sequence[str] = ()) -> None:
        """Tell the supervisor that this process serves, and why effects are not possible all the same, if so.

        A supervisor that is gone is `orphaned`'s business.
        """
        told = "".join(f"{' '.join(problem.split())}\n" for problem in problems if problem.strip() != "ready")
        self._tell(told.encode() + READY)

    def hopeless(self, sentence: str) -> None:
        """Tell the supervisor why this process can never serve; it repeats that as its own last word."""
        self._tell(f"{sentence}\n".encode())

    def _tell(self, text: bytes) -> None:
        try:
            os.write(self.line, text)
        except (BrokenPipeError, ConnectionResetError):
            return

    async def orphaned(self) -> None:
        """Return when the supervisor is gone. On Linux the kernel usually ends this process first."""
        with socket.socket(fileno=os.dup(self.line)) as line:
            line.setblocking(False)
            try:
                while await asyncio.get_running_loop().sock_recv(line, 1):
                    pass  # the supervisor never writes; if one day it does, that is not the end
            except ConnectionResetError:
                return


def read_duty(environ: Mapping[str, str]) -> Duty:
    """The duty of this process. Raises NoDuty if it has none."""
    text = environ.get(VARIABLE, "")
    if not text:
        raise NoDuty("This command is started by `gateway serve`, not by hand: run `gateway serve` instead.")
    told = json.loads(text)
    role = told["role"]
    if role not in get_args(Role):
        raise NoDuty(f"The supervisor asks for the role {role!r}, which this version does not have.")
    return Duty(
        role=role,
        number=told["number"],
        listen=tuple(told["listen"]),
        line=told["line"],
        redis_url=told["redis_url"],
        document=told["document"],
    )
