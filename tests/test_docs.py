"""The documents say what is true: every name they must explain is there, links lead somewhere, and code in them runs.

Pages that have a test of their own: routes.md (config/test_models.py), errors.md (test_errors.py), operations.md's
settings (test_settings.py), policies.md (config/test_policies.py), traces.md (core/test_fact_attributes.py).
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

import pytest
import yaml
from typer.main import get_command

from gateway import control_errors, errors
from gateway.cli import app
from gateway.config.routes_file import load_routes
from gateway.core.facts import Fact
from gateway.settings import Settings, variable
from tests.gateway_process import environment, free_port
from tests.gateway_world import world

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md", *sorted(DOCS.glob("*.md"))]
TOOLS = ("bash", "curl", "jq", "openssl")
PORTS = ("8080", "8081", "9000", "9001")
"""Those that the tour uses; a test types other ones."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- What must be named -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [variable(field.name) for field in fields(Settings)])
def test_every_setting_is_explained(setting):
    assert re.search(rf"^\| `{setting}` \| .+ \| .{{20,}} \|$", read("docs/operations.md"), re.MULTILINE)


def every(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for cls in kind.__subclasses__():
        yield cls
        yield from every(cls)


def slugs(module: str) -> dict[str, int]:
    """Of the errors that the gateway itself has, not those that tests make."""
    ours = [cls for cls in every(errors.GatewayError) if cls.__module__.startswith(module) and "slug" in vars(cls)]
    return {cls.slug: cls.status for cls in ours}


def test_every_error_of_the_control_plane_is_explained_with_its_status():
    section = read("docs/operations.md").split("## The control plane")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| .+ \|$", section, re.MULTILINE))
    assert {slug: int(status) for slug, status in rows.items()} == slugs(control_errors.__name__)


@pytest.mark.parametrize("slug", slugs(errors.__name__))
def test_every_error_of_the_agents_port_is_explained(slug):
    assert f"| `{slug}` |" in read("docs/errors.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_an_error_that_does_not_exist(page):
    known = slugs(errors.__name__) | slugs(control_errors.__name__)
    named = set(
        re.findall(r"\b[45]\d\d `([a-z]+(?:-[a-z]+)+)`|`[45]\d\d ([a-z]+(?:-[a-z]+)+)`", page.read_text("utf-8"))
    )
    assert {first or second for first, second in named} <= set(known)


@pytest.mark.parametrize("fact", [kind.__name__ for kind in get_args(Fact)])
def test_every_fact_is_explained_and_in_the_changelog(fact):
    assert re.search(rf"^\| {fact} \| .+", read("docs/lifecycle.md"), re.MULTILINE)
    assert re.search(rf"\b{fact}\b", read("CHANGELOG.md")), "going back to an older version depends on this list"


def commands(command: object = None, name: str = "gateway") -> Iterator[str]:
    command = command or get_command(app)
    for part, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield f"{name} {part}"
            yield from commands(child, f"{name} {part}")


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_in_the_readme(command):
    assert f"`{command}" in read("README.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_speaks_of_a_command_that_does_not_exist(page):
    known = set(commands())
    for words in re.findall(
        r"(?:^\$ |bin/|`)gateway ([a-z]+(?: [a-z]+)?)", page.read_text(encoding="utf-8"), re.MULTILINE
    ):
        first, *rest = words.split()
        assert f"gateway {first}" in known, words
        group = [name for name in known if name.startswith(f"gateway {first} ")]
        assert not (rest and group) or f"gateway {words}" in known, words


def test_every_endpoint_of_the_control_plane_is_explained():
    text = read("gateway/doors/control.py")
    page = read("docs/operations.md")
    for path in re.findall(r'Route\("([^"]+)"', text):
        assert re.search(rf"`(?:GET|POST) {re.escape(path)}`", page), path


def test_every_metric_is_explained_and_no_other():
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    explained = re.findall(r"^\| `(gateway_\w+)` \|", read("docs/operations.md"), re.MULTILINE)
    assert set(explained) == set(re.findall(r'Metric\("(gateway_\w+)"', code)) != set()


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=name_of)
def test_every_page_is_in_the_index_and_within_reach_of_the_readme(page):
    if page.name != "index.md":
        assert f"({page.name})" in read("docs/index.md")
    assert f"(docs/{page.name})" in read("README.md")


# --- Links ------------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(line.lstrip("#").strip()) for line in prose(page).splitlines() if line.startswith("#")}


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, fragment = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{page.name} links to {target}"
        assert not fragment or fragment in anchors(aim), f"{page.name} links to {target}, but there is no such heading"


# --- Code in pages ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_shell_blocks_parse(block):
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_blocks_compile(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_blocks_are_json(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_blocks_are_yaml(block):
    assert yaml.safe_load(block.text)


def test_every_block_says_what_it_is():
    assert {block.language for block in BLOCKS} <= {"bash", "python", "json", "yaml", "cedar", "mermaid", "text"}


def test_the_readme_shows_the_policies_of_the_tour():
    shipped = read("examples/policies/payments.cedar")
    (block,) = [block for block in blocks("cedar") if block.page.name == "README.md"]
    assert block.text.strip() in shipped


def test_the_page_about_approvals_shows_the_example_that_is_shipped():
    shown = [block.text for block in blocks("python") if block.page.name == "approvals.md"]
    assert shown == [read("examples/approve.py")]


@pytest.mark.parametrize("name", ["routes.yaml", "examples/routes.yaml"])
def test_shipped_routes_have_no_mistake(name):
    loaded, found = load_routes(
        ROOT / name, {"STRIPE_URL": "https://api.stripe.com", "APPROVALS_URL": "http://127.0.0.1:1/"}
    )
    assert loaded is not None and not found


# --- The page that is generated ---------------------------------------------------------------------------------------


def test_the_page_about_the_lifecycle_is_what_the_code_does():
    spec = importlib.util.spec_from_file_location("make_lifecycle", DOCS / "make_lifecycle.py")
    assert spec is not None and spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = maker  # dataclasses look their module up
    try:
        spec.loader.exec_module(maker)
        page = maker.PAGE.read_text(encoding="utf-8")
        same = maker.written(page) == page
    finally:
        del sys.modules[spec.name]
    assert same, "run .venv/bin/python docs/make_lifecycle.py and look at what changed"


def test_every_state_is_explained():
    page = read("docs/lifecycle.md")
    drawn = set(re.findall(r"^\| (\*?[a-z ]+\*?) \| [A-Z]", page.split("### Every append")[1], re.MULTILINE)) - {
        "*new*"
    }
    explained = set(re.findall(r"^\| ([a-z ]+) \| [a-z]", page.split("## Four rules")[0], re.MULTILINE)) - {"state"}
    assert drawn | {"denied", "unreachable"} == explained


# --- What a reader types ----------------------------------------------------------------------------------------------


def run(script: str, folder: Path, **variables: str) -> str:
    """What a shell says that is given this text, as a reader would type it. Nothing it starts outlives it."""
    process = subprocess.Popen(
        ["bash", "-e"], cwd=folder, env=environment(**variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(script, timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    return said


def place_for_the_tour(folder: Path, ports: dict[str, str]) -> None:
    """What the tour needs of a checkout, with other ports."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / ".venv").symlink_to(sys.prefix)
    for path in (folder / "examples").glob("*.*"):
        path.write_text(with_ports(path.read_text(encoding="utf-8"), ports), encoding="utf-8")


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda found: ports[found[0]], text)


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="the tour needs bash and curl")
def test_the_tour_of_the_readme_can_be_typed():
    tour = read("README.md").split("## A tour of five minutes")[1].split("\n## ")[0]
    steps = [block.text for block in blocks("bash") if block.page.name == "README.md" and block.text in tour]
    ports = {port: str(free_port()) for port in PORTS}
    with tempfile.TemporaryDirectory(prefix="gwt-") as name:
        place_for_the_tour(Path(name), ports)
        said = run(with_ports("\n".join(steps), ports), Path(name))
        assert not (Path(name) / "tour").exists(), "the tour leaves nothing behind"
    assert "No mistakes. 1 system, 2 tools, 1 agent" in said
    assert '"ready":true' in said
    assert re.search(r"200 OK.*globex", said, re.DOTALL)
    assert re.search(r"409 Conflict.*approval-pending", said, re.DOTALL)
    assert "shop-bot wants to call bank.make_payment(to=acme, amount=90000)" in said
    assert re.search(r'200 \{"call".*"recorded":true', said)
    assert re.search(r"201 Created.*gateway-call: .*\"pay_1\"", said, re.DOTALL)
    assert '{"payments": [{"payment": "pay_1", "to": "acme", "amount": 90000}]}' in said, "one payment, and only one"
    assert "urn:gateway:policy-denied" in said
    assert re.search(r"[0-9a-f]{24}  .*  denied  +shop-bot", said)
    assert 'alice approved for finance, asserted by webhook of finance: "Invoice 7 is due."' in said
    assert "bank-secret-of-the-tour" not in said


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
    (block,) = [block for block in blocks("bash") if block.page.name == "approvals.md" and "$FINGERPRINT" in block.text]
    said = run(
        block.text, folder, CONTROL=scene.gateway.control, TOKEN=token_of("lead"), CALL=call, FINGERPRINT=fingerprint
    )
    assert f'"fingerprint":"{fingerprint}"' in said and '"recorded":true' in said
    assert scene.status(call)["status"] == "answered"
