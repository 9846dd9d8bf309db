"""Everything that must run before the story can be told, and its end.

Every server is a real process or a real socket on 127.0.0.1, on a port that was free a moment ago. All of it is
entered into one ExitStack, so whatever way the story ends, the stage is cleared in reverse order: the gateway first,
its data last. Nothing is written outside one temporary directory.
"""

import hashlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import stripe
import yaml

from gateway.demo import Broken, record
from gateway.demo.approver import Approver, new_secret
from gateway.demo.collector import Collector
from gateway.demo.listener import listening
from gateway.demo.record import Record
from gateway.demo.transcript import Transcript

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: the demo plays the shipped routes.yaml and policies, not copies made for show."""
AGENT, APPROVER = "billing-bot", "finance-lead"
HOLD_WAIT = "1s"
"""Instead of the shipped 25 s, so that nobody watches an agent wait."""
PORTS = range(15_000, 32_000)
READY_SECONDS = 60.0
END_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the story is told with."""

    gateway: str
    """The agents' URL."""
    control: str
    data: Path
    agent_key: str
    record: Record
    approver: Approver
    collector: Collector
    client: stripe.StripeClient
    policies: Path
    environment: Mapping[str, str]
    person_token: str
    """With which the finance lead signs in to the page; empty if nobody is to."""


def build(stack: ExitStack, transcript: Transcript, *, page: bool) -> Scene:
    """Start everything; the stack ends it. `page`: somebody is going to decide on the approvers' page."""
    transcript.title(
        "The policy gateway", "An agent that may refund customers, and what stands between it and the money"
    )
    _check_checkout()
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-demo-")))
    stack.enter_context(_settings(XDG_CONFIG_HOME=str(home / "config"), NO_PROXY="127.0.0.1", no_proxy="127.0.0.1"))
    system = _start_record(stack, home)
    approver, collector = Approver(new_secret(), new_secret()), Collector()
    environment = _environment(
        STRIPE_URL=system.url,
        STRIPE_API_KEY=system.key,
        APPROVALS_URL=stack.enter_context(listening(approver.receive)),
        APPROVALS_SECRET=approver.secret,
        CALLBACK_SECRET=approver.callback_secret,
        OTEL_EXPORTER_OTLP_ENDPOINT=stack.enter_context(listening(collector.receive)),
        OTEL_METRICS_EXPORTER="none",
    )
    agents, control, agent_key = free_port(), free_port(), f"gk_{secrets.token_urlsafe(32)}"
    person_token = f"gp_{secrets.token_urlsafe(32)}" if page else ""
    shipped = (ROOT / "routes.yaml").read_text(encoding="utf-8")
    (home / "routes.yaml").write_text(routes(shipped, agent_key, person_token, agents, control), encoding="utf-8")
    _start_gateway(stack, home, environment, control)
    scene = Scene(
        gateway=f"http://127.0.0.1:{agents}",
        control=f"http://127.0.0.1:{control}",
        data=home / "data",
        agent_key=agent_key,
        record=system,
        approver=approver,
        collector=collector,
        client=stripe.StripeClient(agent_key, base_addresses={"api": f"http://127.0.0.1:{agents}/stripe"}),
        policies=ROOT / "policies",
        environment=environment,
        person_token=person_token,
    )
    _introduce(scene, environment, transcript)
    return scene


def routes(shipped: str, agent_key: str, person_token: str, agents: int, control: int) -> str:
    """The shipped routes.yaml with the only things the demo changes: keys, the ports, a shorter wait."""
    document = yaml.safe_load(shipped)
    if person_token:
        document["people"][APPROVER]["tokens"] = [{"sha256": hashlib.sha256(person_token.encode()).hexdigest()}]
    document["agents"][AGENT]["keys"] = [{"sha256": hashlib.sha256(agent_key.encode()).hexdigest()}]
    document["listen"] = {"agents": f"127.0.0.1:{agents}", "control": f"127.0.0.1:{control}"}
    document["systems"]["stripe"]["tools"]["create_refund"]["hold"] = {"wait": HOLD_WAIT}
    return yaml.safe_dump(document, sort_keys=False)


def free_port() -> int:
    """On which nobody listens; no kernel gives it to an outgoing connection before it is used."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def gateway_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "gateway", *map(str, arguments)]


def _check_checkout() -> None:
    for name in ("routes.yaml", "policies"):
        if not (ROOT / name).exists():
            raise Broken(f"The demo plays the shipped {name}, but {ROOT / name} is not there: run it from a checkout.")


@contextmanager
def _settings(**values: str) -> Iterator[None]:
    """For the SDK, which writes a telemetry id below the user's configuration and obeys the user's proxy."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _environment(**values: str) -> dict[str, str]:
    """For the gateway: the user's environment without settings of theirs that would change the story."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "OTEL_"))}
    return {**kept, **values}


def _start_record(stack: ExitStack, home: Path) -> Record:
    listener = stack.enter_context(record.open_socket())
    log = home / "localstripe.log"
    process = stack.enter_context(_process(record.command(listener), _environment(), log, (listener.fileno(),)))
    system = Record(f"http://127.0.0.1:{listener.getsockname()[1]}", record.new_key())
    listener.close()
    _wait_until_answers(f"{system.url}/js.stripe.com/v3/", process, log, "localstripe")
    return system


def _start_gateway(stack: ExitStack, home: Path, environment: Mapping[str, str], control: int) -> None:
    places = ("--routes", home / "routes.yaml", "--policies", ROOT / "policies", "--data", home / "data")
    command = gateway_command("serve", *places, "--workers", "2")
    log = home / "gateway.log"
    process = stack.enter_context(_process(command, environment, log))
    _wait_until_answers(f"http://127.0.0.1:{control}/readyz", process, log, "The gateway")


@contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], log: Path, keep: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a session of its own, so that Ctrl-C reaches only us and we end things in order."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
            start_new_session=True,
        )
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    if not _end(process):
        raise Broken(f"`{' '.join(command[1:4])}` had to be killed: it did not end its processes on SIGTERM.")


def _end(process: subprocess.Popen[bytes]) -> bool:
    """Whether it and all of its descendants ended when asked. In any case, they have ended afterwards."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    try:
        os.killpg(process.pid, signal.SIGKILL)  # the session is ours: whoever is left in it was left behind
    except ProcessLookupError:
        return True
    process.wait()
    return False


def _wait_until_answers(url: str, process: subprocess.Popen[bytes], log: Path, name: str) -> None:
    deadline, last = time.monotonic() + READY_SECONDS, "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Broken(f"{name} ended with exit code {process.returncode} instead of starting:\n{_tail(log)}")
        try:
            answer = httpx.get(url, trust_env=False, timeout=2.0)
        except httpx.TransportError as error:
            last = str(error)
        else:
            if answer.status_code == 200:
                return
            last = f"{answer.status_code} {answer.text.strip()}"
        time.sleep(0.05)
    raise Broken(f"{name} was not ready after {READY_SECONDS:g} s ({last}):\n{_tail(log)}")


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _introduce(scene: Scene, environment: Mapping[str, str], transcript: Transcript) -> None:
    transcript.note(f"system of record  {scene.record.url}  localstripe, a process of its own")
    transcript.note(f"gateway, agents   {scene.gateway}  two workers")
    transcript.note(f"gateway, control  {scene.control}  the steward: approvers and operators come here")
    transcript.note(f"approver          {environment['APPROVALS_URL']}  verifies signed notices, signs decisions")
    transcript.note(f"trace collector   {environment['OTEL_EXPORTER_OTLP_ENDPOINT']}  OTLP over HTTP")
    transcript.good("All are up. The gateway runs the shipped routes.yaml and policies; the demo put in three things:")
    transcript.note("a gateway key for billing-bot, free ports, and a hold.wait of 1 s.")
    if scene.person_token:
        transcript.note(f"And a token for {APPROVER}, because you asked for the page: you are going to decide there.")
