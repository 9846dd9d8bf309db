"""What can be said of the Dockerfile without an engine to build it. That its RUN lines are those of make: .ci/run."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway.cli import app
from tests.pages import ROOT, read

DOCKERFILE = read("Dockerfile").replace("\\\n", " ")


class Livez(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" and self.server.alive else 500)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(folder: Path, *, tls: bool, alive: bool = True) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Livez)
    server.alive = alive  # type: ignore[attr-defined]
    if tls:
        made = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=gateway.acme.example",
            "-days",
            "2",
        ]
        subprocess.run([*made, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert", folder / "key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def healthy(port: int) -> bool:
    """What the engine would find."""
    (found,) = re.findall(r"^HEALTHCHECK .*? CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, *words = json.loads(found)
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, *(word.replace("8081", str(port)) for word in words)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False, env=environ).returncode == 0


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_the_health_check_finds_a_gateway_whichever_way_it_listens(tmp_path, tls):
    with listening(tmp_path, tls=tls) as port:
        assert healthy(port)
    assert not healthy(port), "nobody listens any more"


def test_the_health_check_notices_one_that_is_not_well(tmp_path):
    with listening(tmp_path, tls=False, alive=False) as port:
        assert not healthy(port)


def test_what_it_runs_is_a_command_with_the_data_below_the_volume():
    (found,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    program, command, *words = json.loads(found)
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert (program, command) == ("gateway", "serve")
    assert command in {known.name or known.callback.__name__ for known in app.registered_commands if known.callback}
    (volume,) = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    assert Path(options["--data"]).parent == Path(volume), "docs/operations.md: the volume's root may belong to root"
    assert (ROOT / Path(options["--routes"]).name).is_file() and (ROOT / Path(options["--policies"]).name).is_dir()
