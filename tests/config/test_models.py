"""Every field of the models is in docs/routes.md, with the default it really has; and the examples there load."""

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.config import ledger, models, previews
from gateway.config.durations import quota, seconds, size
from gateway.config.input_schemas import EVERY_KEYWORD, OUR_WORDS
from gateway.config.models import Strict
from gateway.config.routes_file import load_routes

PAGE = (Path(__file__).parents[2] / "docs" / "routes.md").read_text(encoding="utf-8")
HEADINGS: dict[type[Strict], str] = {
    models.FileModel: "The file",
    models.SecretModel: "How values are written",
    models.HashModel: "How values are written",
    models.PersonModel: "People",
    models.AwayModel: "away",
    models.GroupModel: "Approvals",
    models.NotifyModel: "Channels",
    models.SlackModel: "Slack",
    models.EscalationModel: "escalate",
    models.HoursModel: "hours",
    models.StandingModel: "standing",
    models.AgentModel: "Agents",
    models.SystemModel: "Systems",
    models.CredentialModel: "Credentials",
    models.BasicModel: "basic",
    models.HeaderModel: "header",
    models.QueryModel: "query",
    models.ToolModel: "Tools",
    previews.PreviewModel: "Previews",
    models.RecordModel: "Record",
    models.IdempotencyModel: "Idempotency",
    models.HoldModel: "Hold",
    models.ListenModel: "Listen",
    models.TlsModel: "tls",
    ledger.LedgerModel: "Ledger",
    ledger.StoreModel: "Store",
    ledger.BucketModel: "s3",
    ledger.AnchorModel: "Anchors",
    ledger.TrimModel: "Trim",
}
FIELDS = [(model, name) for model in HEADINGS for name in model.fields_by_name()]


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the tables below a heading, by field: meaning, default, example."""
    section = re.split(rf"^##+ {re.escape(heading)}$", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" |")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    return {name.strip("` |"): rest for name, *rest in cells}


def test_every_model_has_its_place_on_the_page():
    found = {model.__name__ for model in Strict.__subclasses__()}
    assert found == {model.__name__ for model in HEADINGS}


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_every_field_is_documented(model, name):
    meaning, *_ = rows(HEADINGS[model])[name]
    assert len(meaning) > 5


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_the_documented_default_is_the_real_one(model, name):
    field, written = model.fields_by_name()[name], rows(HEADINGS[model])[name][1]
    if field.is_required():
        assert written == "required"
    elif field.default is None:
        assert "`" not in written or written.startswith(("this or", "`none` for GET"))
    else:
        assert same(field.default, written.strip("`")), (field.default, written)


def same(default: Any, written: str) -> bool:
    match default:
        case bool():
            return written in ({"true", "on"} if default else {"false", "off"})
        case int() if written.endswith("B"):
            return size(written) == default
        case float():
            return seconds(written) == default
        case Strict():
            return written == "{}" and not default.model_fields_set
        case str():
            return written == (default or '""')
        case tuple():
            return quota(written) == default
        case _:
            return written == str(default)


def test_our_own_words_and_every_keyword_are_documented():
    assert not OUR_WORDS - set(rows("Input and headers"))
    for word in EVERY_KEYWORD:
        assert f"`{word}`" in PAGE, word


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_load(text, tmp_path):
    (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")
    routes, mistakes = load_routes(tmp_path / "routes.yaml", {})
    assert mistakes == [] and routes is not None


def test_links_inside_the_page_lead_somewhere():
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors


def test_what_comes_later_is_never_a_field_already():
    for model in HEADINGS:
        assert not model.later & set(model.fields_by_name())


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (models.SystemModel, {"mcp", "unlisted"}),
        (models.ToolModel, {"unlisted", "budget"}),
    ],
)
def test_what_the_design_promises_for_later_is_refused_until_then(model, names):
    assert names <= model.later
