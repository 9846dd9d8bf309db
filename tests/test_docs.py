"""The documents say what is true: every name they must explain is there, links lead somewhere, and code in them runs.

Pages that have a test of their own: routes.md (config/test_models.py), errors.md (test_errors.py), operations.md's
settings (test_settings.py), policies.md (config/test_policies.py), traces.md (core/test_fact_attributes.py).
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import yaml
from typer.main import get_command

from gateway import control_errors, errors
from gateway.cli import app
from gateway.config.routes_file import load_routes
from gateway.core.codec import DEPLOYMENT_TYPES, GRANT_TYPES, TYPES
from gateway.core.facts import Fact
from gateway.core.figures import METRICS
from gateway.settings import Settings, variable
from tests.pages import BLOCKS, DOCS, PAGES, ROOT, blocks, read


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


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


@pytest.mark.parametrize("fact", [*TYPES, *GRANT_TYPES, *DEPLOYMENT_TYPES])
def test_the_page_about_the_record_says_what_every_fact_is_for(fact):
    named = [row.split("|")[1] for row in read("docs/record.md").splitlines() if row.startswith("| ")]
    assert any(re.search(rf"\b{fact}\b", name) for name in named)


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
    rows = re.findall(
        r"^\| `(gateway_\w+)` \| `(gateway\.[a-z_.]+)` \| (\w+) \| (.+) \|$", read("docs/operations.md"), re.MULTILINE
    )
    assert {row[:3] for row in rows} == {(it.name, it.standard, it.kind) for it in METRICS}
    for name, _, _, text in rows:
        metric = next(it for it in METRICS if it.name == name)
        assert all(f"`{label}`" in text for label, _ in metric.labels), "a row names the labels"


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
    assert {block.language for block in BLOCKS} <= {
        "bash",
        "console",
        "python",
        "json",
        "yaml",
        "cedar",
        "mermaid",
        "text",
    }


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
    explained = set(re.findall(r"^\| ([a-z ]+) \| [a-z]", page.split("## Five rules")[0], re.MULTILINE)) - {"state"}
    assert drawn | {"denied", "unreachable"} == explained
