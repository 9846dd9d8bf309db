"""What the pages tell a reader to type is typed, and says what they show."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_process import environment
from tests.gateway_world import world
from tests.pages import ROOT, blocks, blocks_of, read, run
from tests.processes import free_port

TOOLS = ("bash", "curl", "jq", "openssl")
PORTS = ("8080", "8081", "9000", "9001")
"""Those that the tour uses; a test types other ones."""
END = "--- end of a step ---"
STANDS_FOR = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z",
    "duration": r"\+[\d.]+ (?:ms|s|min)",
    "space": r"\s+",
}
VARYING = re.compile(
    r"(?P<any>\s*\.\.\.\s*)|(?P<hex>\b(?:[0-9a-f]{64}|[0-9a-f]{24}|[0-9a-f]{12})\b)|"
    + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in STANDS_FOR.items())
)


def place_for_the_tour(folder: Path, ports: dict[str, str]) -> None:
    """What the tour needs of a checkout, with other ports."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / ".venv").symlink_to(sys.prefix)
    for path in (folder / "examples").glob("*.*"):
        path.write_text(with_ports(path.read_text(encoding="utf-8"), ports), encoding="utf-8")


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda found: ports[found[0]], text)


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="the tour needs bash and curl")
def test_the_tour_of_the_readme_can_be_typed_and_says_what_it_shows():
    tour = read("README.md").split("## A tour of five minutes")[1].split("\n## ")[0]
    parts = [block for block in blocks_of(ROOT / "README.md") if block.text in tour and block.language != "cedar"]
    ports = {port: str(free_port()) for port in PORTS}
    script = "".join(f"{part.text}echo {END}\n" for part in parts if part.language == "bash")
    with tempfile.TemporaryDirectory(prefix="gwt-") as name:
        place_for_the_tour(Path(name), ports)
        said = run(with_ports(script, ports), Path(name))
        assert not (Path(name) / "tour").exists(), "the tour leaves nothing behind"
    assert "bank-secret-of-the-tour" not in said
    answers = said.split(END)
    known: dict[str, str] = {}
    for step, part in enumerate(parts):
        if part.language != "bash":
            assert part.language == "text" and parts[step - 1].language == "bash"
            answer = answers[sum(other.language == "bash" for other in parts[:step]) - 1]
            found = shown_as(part.text, known).fullmatch(answer)
            assert found, f"{part} shows\n{part.text}\nand this was said:\n{answer}"
            known |= found.groupdict()


def shown_as(text: str, known: dict[str, str]) -> re.Pattern[str]:
    """What a block of the README says of a real answer. `...` stands for anything, every line may be wrapped, times and
    durations are others; so are ids and digests, but the same one is the same everywhere (`known`: so far)."""
    said, here = "", 0
    for token in VARYING.finditer(text.strip()):
        said += re.escape(text.strip()[here : token.start()])
        here, name = token.end(), f"h{token[0]}"
        if token["any"]:
            said += ".*?"
        elif token["hex"] and name in known:
            said += known[name]
        elif token["hex"]:
            said += f"(?P={name})" if f"<{name}>" in said else f"(?P<{name}>[0-9a-f]{{{len(token[0])}}})"
        else:
            said += next(pattern for kind, pattern in STANDS_FOR.items() if token[kind])
    return re.compile(rf"\s*{said}{re.escape(text.strip()[here:])}\s*", re.DOTALL)


@pytest.mark.parametrize(
    ("shown", "said", "right"),
    [
        ("a ... c", "a b\nb c", True),
        ("a c", "a b c", False),
        ("a b", "a\n  b\n", True),
        ("2026-11-20T12:46:01Z  +2 s  x", "2027-01-01T00:00:00Z  +171 ms  x", True),
        (f"{'a' * 24} {'a' * 24}", f"{'b' * 24} {'b' * 24}", True),
        (f"{'a' * 24} {'a' * 24}", f"{'b' * 24} {'c' * 24}", False),
        ("d" * 24, "e" * 24, False),
        ("1 notice", "1 notice(s)", False),
    ],
)
def test_what_a_block_stands_for(shown, said, right):
    assert bool(shown_as(shown, {f"h{'d' * 24}": "f" * 24}).fullmatch(said)) is right


@pytest.fixture(scope="module")
def held() -> Iterator[tuple[str, Path, str, object]]:
    """A gateway whose approvers are asked about payments; each test holds one of its own."""
    with world() as scene, tempfile.TemporaryDirectory(prefix="gwt-") as name:
        yield name, Path(name), scene.approvers.callback_secrets["finance"], scene


def keep_notice(scene, folder: Path, to: str) -> str:
    call: str = scene.hold(to)
    (folder / "notice.json").write_bytes(scene.approvers.notice(call).raw)
    return call


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_the_decision_with_curl_is_accepted(held):
    _, folder, secret, scene = held
    call = keep_notice(scene, folder, "curl")
    (block,) = [block for block in blocks("bash") if "openssl dgst" in block.text]
    said = run(block.text.replace('"alice"', '"lead"'), folder, CALLBACK_SECRET=secret)
    assert '"recorded":true' in said
    assert scene.status(call)["status"] == "answered"


def test_the_decision_in_python_is_accepted_and_a_forged_one_is_not(held):
    _, folder, secret, scene = held
    call = keep_notice(scene, folder, "python")
    words = [sys.executable, str(ROOT / "examples" / "approve.py"), str(folder / "notice.json"), "lead"]

    def decide(with_secret: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words, *more], env=environment(CALLBACK_SECRET=with_secret), capture_output=True, text=True, check=False
        )

    forged = decide("whsec_" + "A" * 40)
    assert forged.returncode == 1 and forged.stderr.startswith("401 ") and "bad-signature" in forged.stderr
    shown = (folder / "notice.json").read_text()
    (folder / "notice.json").write_text(re.sub(r'("fingerprint": ?")[0-9a-f]{8}', r"\g<1>00000000", shown))
    other = decide(secret)
    assert other.returncode == 1 and "approval-stale" in other.stderr, "a decision about something else than was shown"
    (folder / "notice.json").write_text(shown)
    assert scene.state(call) == "held"
    assert '"recorded":true' in decide(secret).stdout
    assert scene.status(call)["status"] == "answered"
    again = decide(secret, "--reject")
    assert again.returncode == 1 and again.stderr.startswith("409 ") and "approval-stale" in again.stderr


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl")
def test_the_decision_with_a_token_is_accepted(held):
    from tests.gateway_process import token_of

    _, folder, _, scene = held
    call = keep_notice(scene, folder, "token")
    fingerprint = scene.approvers.notice(call).data["fingerprint"]
    (block,) = [
        block
        for block in blocks("bash")
        if block.page.name == "approvals.md" and '"decision": "approve", "fingerprint"' in block.text
    ]
    said = run(
        block.text, folder, CONTROL=scene.gateway.control, TOKEN=token_of("lead"), CALL=call, FINGERPRINT=fingerprint
    )
    assert f'"fingerprint":"{fingerprint}"' in said and '"recorded":true' in said
    assert scene.status(call)["status"] == "answered"
