"""The system of record of the benchmark: answers every request with the same 83 bytes, and counts them.

nginx if it is installed, else this file's own few lines on uvloop. Its processor time is nobody's: it stands on the
other processor. `COUNT_PATH` tells how many requests came.
"""

import argparse
import asyncio
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from bench.processes import BenchError, Running, ask, running

ANSWER = b'{"id":"en_001","object":"entry","charge":"ch_1","amount":1234,"status":"succeeded"}'
COUNT_PATH = "/bench/count"

# One worker like every target; connections are never recycled, because a reconnect is not what is measured.
_NGINX = """\
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type application/json; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = {count} {{ stub_status; }}
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstream:
    port: int
    software: str
    process: Running

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self) -> int:
        """Requests answered so far, this one included (so a difference of two has one too many)."""
        _, body = ask(self.port, "GET", COUNT_PATH)
        return int(body.split()[9 if self.software == "nginx" else 0])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(home: Path, cpu: int, software: str = "auto") -> Iterator[Upstream]:
    """Run the upstream. `software`: `nginx`, `python`, or `auto` for nginx where there is one."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if software == "nginx" and not nginx:
        raise BenchError("nginx is not installed; leave out --upstream to use the built-in one.")
    port = free_port()
    if nginx and software != "python":
        software = "nginx"
        configuration = home / "nginx.conf"
        text = _NGINX.format(home=home, port=port, count=COUNT_PATH, answer=ANSWER.decode())
        configuration.write_text(text, encoding="utf-8")
        command = [nginx, "-p", str(home), "-e", "stderr", "-c", str(configuration)]
    else:
        software = "python"
        command = [sys.executable, "-m", "bench.upstream", "--port", str(port)]
    with running("upstream", command, cpu, home) as process:
        process.wait_until_answers(port, COUNT_PATH)
        yield Upstream(port, software, process)


class StaticProtocol(asyncio.Protocol):
    """Reads just enough of HTTP/1.1 to know where each request ends."""

    _length = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
    _chunked = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer and (end := self._end_of_request()):
            StaticProtocol.count += 1
            wanted = self.buffer.startswith(b"GET " + COUNT_PATH.encode() + b" ")
            self.transport.write(answer(str(StaticProtocol.count).encode()) if wanted else _STATIC)
            self.buffer = self.buffer[end:]

    def _end_of_request(self) -> int:
        """Length of the first request in the buffer; 0 while it is not whole."""
        head = self.buffer.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        if found := self._length.search(self.buffer, 0, head):
            end = head + int(found[1])
        elif self._chunked.search(self.buffer, 0, head):
            # Nobody here sends a body in which this could be data.
            end = (
                self.buffer.find(b"0\r\n\r\n", head) + 5 if b"0\r\n\r\n" in self.buffer[head:] else len(self.buffer) + 1
            )
        else:
            end = head
        return end if end <= len(self.buffer) else 0


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


_STATIC = answer(ANSWER)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(StaticProtocol, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="The static upstream, without nginx.")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
