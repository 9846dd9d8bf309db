"""What must be true before anything is started, and that `check` and `serve` agree about it."""

import hashlib
from pathlib import Path

import pytest
import yaml

from gateway.settings import SettingsMistake
from gateway.starting import CannotServe, examine, inventory, plan, settings

SECRETS = {"BANK_TOKEN": "t", "NOTICES": "whsec_" + "A" * 40}
PERMIT = '@id("all") permit (principal, action, resource);\n'


def document(**changes: object) -> dict[str, object]:
    return {
        "version": 1,
        "people": {"alice": {"roles": ["approver"]}, "olga": {"roles": ["operator"]}},
        "approvals": {"finance": {"members": ["alice"], "notify": [
            {"webhook": "http://127.0.0.1:9001/", "secret": {"env": "NOTICES"}}]}},
        "agents": {"bot": {"owner": "olga", "keys": [{"sha256": hashlib.sha256(b"x").hexdigest()}]}},
        "systems": {"bank": {
            "upstream": "http://127.0.0.1:9000", "owner": "olga", "credential": {"bearer": {"env": "BANK_TOKEN"}},
            "tools": {"get": {"request": "GET /items/{item}", "effect": "read"}},
        }},
    } | changes  # fmt: skip


def place(folder: Path, policies: str = PERMIT, **changes: object) -> tuple[Path, Path]:
    (folder / "routes.yaml").write_text(yaml.safe_dump(document(**changes), sort_keys=False))
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "all.cedar").write_text(policies)
    return folder / "routes.yaml", folder / "policies"


def test_files_without_a_mistake_can_be_served(tmp_path):
    places = place(tmp_path)
    assert examine(*places, SECRETS) == []
    planned = plan(*places, tmp_path / "data", 3, SECRETS)
    assert (planned.workers, planned.agents, planned.control) == (3, "127.0.0.1:8080", "127.0.0.1:8081")
    assert planned.redis_url == "" and planned.data == tmp_path / "data" and not planned.secure
    assert planned.document["routes"] == str(places[0]) and planned.document["policies"] == str(places[1])


def test_no_number_of_workers_means_one_per_core(tmp_path):
    assert plan(*place(tmp_path), tmp_path / "data", 0, SECRETS).workers >= 1


def test_paths_are_absolute_for_the_children(tmp_path, monkeypatch):
    """A child may be started again when nobody knows any more what the paths were relative to."""
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    planned = plan(Path("routes.yaml"), Path("policies"), Path("data"), 1, SECRETS)
    assert planned.document["routes"] == str(tmp_path / "routes.yaml")


@pytest.mark.parametrize(
    ("changes", "environ", "expected"),
    [
        ({"agents": {"bot": {"owner": "nobody"}}}, {}, "routes.yaml:"),
        ({"polices": {}}, {}, "polices"),
        ({}, {"BANK_TOKEN": ""}, "set the environment variable BANK_TOKEN"),
        ({}, {"GATEWAY_BODY_LIMT": "1"}, "GATEWAY_BODY_LIMT is not a setting"),
        ({}, {"GATEWAY_BODY_LIMIT": "lots"}, "GATEWAY_BODY_LIMIT is 'lots', but must be"),
        ({}, {"GATEWAY_CONTROL_URL": "ftp://x"}, "GATEWAY_CONTROL_URL"),
    ],
    ids=["reference", "unknown key", "missing secret", "misspelt setting", "bad setting", "bad control URL"],
)
def test_a_mistake_is_told_by_check_and_stops_serve(tmp_path, changes, environ, expected):
    places = place(tmp_path, **changes)
    found = examine(*places, SECRETS | environ)
    assert any(expected in sentence for sentence in found), found
    with pytest.raises(CannotServe) as caught:
        plan(*places, tmp_path / "data", 1, SECRETS | environ)
    assert all(sentence in str(caught.value) for sentence in found)
    assert str(caught.value).endswith(f"\n{len(found)} mistake{'s' * (len(found) > 1)}; nothing was started.")
    assert not (tmp_path / "data").exists()


def test_a_broken_policy_is_told_with_its_line(tmp_path):
    found = examine(
        *place(tmp_path, PERMIT + '@id("two") forbid (principal, action == Action::"bank.gett", resource);'), SECRETS
    )
    assert len(found) == 1 and "all.cedar:2" in found[0] and "bank.gett" in found[0]


def test_mistakes_of_settings_and_of_files_are_told_at_once(tmp_path):
    found = examine(*place(tmp_path, version=2), {"GATEWAY_NONSENSE": "1"})
    assert any("GATEWAY_NONSENSE" in sentence for sentence in found) and any(
        "routes.yaml" in sentence for sentence in found
    )


@pytest.mark.parametrize("missing", ["routes.yaml", "policies"])
def test_files_that_are_not_there_are_one_sentence(tmp_path, missing):
    places = place(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    found = examine(*places, SECRETS)
    assert found and missing in found[0]


def test_a_webhook_elsewhere_cannot_call_back_to_loopback(tmp_path):
    elsewhere = {
        "finance": {
            "members": ["alice"],
            "notify": [{"webhook": "https://hooks.example/", "secret": {"env": "NOTICES"}}],
        }
    }
    places = place(tmp_path, approvals=elsewhere)
    assert any("GATEWAY_CONTROL_URL" in sentence for sentence in examine(*places, SECRETS))
    reachable = SECRETS | {"GATEWAY_CONTROL_URL": "https://gateway.acme.example:8081"}
    assert examine(*places, reachable) == []
    assert len(examine(*places, reachable | {"GATEWAY_RATE_LIMIT": "fast"})) == 1, "another mistake does not unset it"


@pytest.mark.parametrize("directory", [False, True], ids=["one file", "a directory"])
def test_a_variable_that_the_routes_name_is_no_misspelt_setting(tmp_path, directory):
    """Their secrets may be called GATEWAY_*, and that is known even while the file has a mistake."""
    system = document()["systems"]["bank"] | {"credential": {"bearer": {"env": "GATEWAY_KEY_OF_BILLING"}}}  # type: ignore[index]
    routes, policies = place(tmp_path, systems={"bank": system}, people={"olga": {"roles": ["operater"]}})
    if directory:
        (tmp_path / "routes").mkdir()
        routes = routes.rename(tmp_path / "routes" / "all.yaml").parent
    environ = SECRETS | {"GATEWAY_KEY_OF_BILLING": "k"}
    assert settings(routes, environ).redis_url == ""
    found = examine(routes, policies, environ)
    assert found and not any("is not a setting" in sentence for sentence in found)
    with pytest.raises(SettingsMistake):
        settings(tmp_path / "another.yaml", environ)


def test_a_secret_is_never_in_a_sentence(tmp_path):
    environ = SECRETS | {"GATEWAY_REDIS_URL": "redis://user:hunter22@host:0", "BANK_TOKEN": "sk_live_hunter33"}
    said = "\n".join(examine(*place(tmp_path, PERMIT + "nonsense"), environ))
    assert said and "hunter" not in said


def test_the_inventory_counts_and_names_the_generation(tmp_path):
    said = inventory(*place(tmp_path), SECRETS)
    assert said.startswith("1 system, 1 tool, 1 agent; generation ")
    assert inventory(*place(tmp_path), SECRETS) == said
    assert inventory(*place(tmp_path, PERMIT.replace("all", "some")), SECRETS) != said
