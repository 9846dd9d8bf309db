"""What must be true before anything is started, and that `check` and `serve` agree about it."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.ledger.note import Signer, sign_checkpoint
from gateway.payload_keys import FILE, ensure_keys
from gateway.settings import SettingsMistake
from gateway.starting import CannotServe, counted, examine, inventory, notes, plan, settings

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
    assert str(caught.value).endswith(f"\n{counted(len(found), 'mistake')}; nothing was started.")
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


def test_numbers_are_said_as_people_say_them():
    assert (counted(1, "mistake"), counted(2, "mistake"), counted(0, "tool")) == ("1 mistake", "2 mistakes", "0 tools")


@pytest.mark.parametrize("beside", ["log", "journal"])
def test_payload_keys_that_are_missing_beside_what_they_encrypted_are_not_made_anew(tmp_path, beside):
    """A new file would look like the real one, be backed up as such, and open nothing."""
    files, data = place(tmp_path), tmp_path / "data"
    (data / "ledger" / "07").mkdir(parents=True)
    assert examine(*files, SECRETS, data) == []
    signer = Signer.new("gateway.example")
    (data / "ledger.key").write_text(signer.text(), encoding="ascii")
    if beside == "log":
        note = sign_checkpoint(signer.of("07"), 1, bytes(32))
        (data / "ledger" / "07" / "checkpoint").write_text(note, encoding="utf-8")
    else:
        (data / "appendonlydir").mkdir()
    [sentence] = examine(*files, SECRETS, data)
    assert f"{data / FILE} is missing" in sentence and "put it back from your backup" in sentence
    assert examine(*files, SECRETS | {"GATEWAY_PAYLOAD_KEYS": base64.b64encode(b"k" * 32).decode()}, data) == []
    with pytest.raises(CannotServe):
        plan(*files, data, 1, SECRETS)
    assert not (data / FILE).exists()
    ensure_keys(data)
    assert examine(*files, SECRETS, data) == []


def test_the_placeholder_of_a_key_is_noted_and_no_mistake(tmp_path):
    zeros = {"bot": {"owner": "olga", "keys": [{"sha256": "0" * 64}]}}
    places = place(tmp_path, agents=document()["agents"] | {"new": zeros["bot"]})  # type: ignore[operator]
    assert examine(*places, SECRETS) == []
    (note,) = notes(places[0], SECRETS)
    assert note.startswith("Note: the key of new is the placeholder") and "gateway key new agent new" in note
    assert notes(place(tmp_path)[0], SECRETS) == notes(tmp_path / "nowhere.yaml", SECRETS) == []


MAIL = {"GATEWAY_SMTP_URL": "smtp://mail.example", "GATEWAY_EMAIL_FROM": "gateway@acme.example"}


def by_mail() -> dict[str, Any]:
    """Alice is told by e-mail and by nothing else."""
    return {
        "people": {"alice": {"roles": ["approver"], "email": "alice@acme.example"}, "olga": {"roles": ["operator"]}},
        "approvals": {"finance": {"members": ["alice"], "notify": [{"email": "members"}]}},
    }


@pytest.mark.parametrize("missing", sorted(MAIL))
def test_a_group_that_would_hear_by_mail_alone_does_not_start_without_a_mail_server(tmp_path, missing):
    places = place(tmp_path, **by_mail())
    (found,) = examine(*places, SECRETS | {name: value for name, value in MAIL.items() if name != missing})
    assert found.startswith(str(places[0])) and found.endswith(f"of group `finance` by e-mail: set {missing}")
    with pytest.raises(CannotServe, match=missing):
        plan(*places, tmp_path / "data", 1, SECRETS)
    assert examine(*places, SECRETS | MAIL) == []


def test_links_that_lead_nowhere_from_other_machines_are_noted(tmp_path):
    path, _ = place(tmp_path, **by_mail())
    (note,) = notes(path, SECRETS | MAIL)
    assert note.startswith("Note: finance will get links to http://127.0.0.1:8081") and "GATEWAY_CONTROL_URL" in note
    assert notes(path, SECRETS | MAIL | {"GATEWAY_CONTROL_URL": "https://gate.acme.example"}) == []


@pytest.mark.parametrize("wrong", ["routes", "policies", "address"])
def test_missing_secrets_are_told_in_the_same_round_as_other_mistakes(tmp_path, wrong):
    """Who sets what the first round named must not be told of more in a second one."""
    bank = {"bank": document()["systems"]["bank"] | {"upstream": {"env": "BANK_URL"}}}  # type: ignore[index]
    changes: dict[str, dict[str, object]] = {"routes": {"polices": {}}, "policies": {}, "address": {"systems": bank}}
    found = examine(*place(tmp_path, "nonsense" if wrong == "policies" else PERMIT, **changes[wrong]), {})
    assert len(found) == 3 and sum("set the environment variable" in sentence for sentence in found) == 2
    assert sum("BANK_TOKEN" in sentence for sentence in found) == sum("NOTICES" in sentence for sentence in found) == 1


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


def test_a_place_of_the_ledger_that_cannot_be_stops_the_start(tmp_path):
    places = place(tmp_path, ledger={"store": {"directory": str(tmp_path / "not-mounted")}})
    (sentence,) = examine(*places, SECRETS, tmp_path / "data")
    assert sentence.endswith("for the ledger's store: mount it, or make it") and "routes.yaml:" in sentence
    with pytest.raises(CannotServe, match="1 mistake; nothing was started"):
        plan(*places, tmp_path / "data", 1, SECRETS)


def test_the_start_makes_the_ledger_where_routes_yaml_says(tmp_path):
    planned = plan(*place(tmp_path, ledger={"directory": "/var/lib/ledger"}), tmp_path / "data", 1, SECRETS)
    assert planned.ledger is not None
    assert (planned.ledger.directory, planned.ledger.key) == (Path("/var/lib/ledger"), tmp_path / "data" / "ledger.key")
