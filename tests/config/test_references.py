"""What a valid configuration refers to: secrets and files that are there, and addresses that can be called back."""

import os

import pytest

from gateway.config.references import callback_mistakes, missing_secrets, missing_secrets_of_file, secrets
from tests.config.routes_documents import document, load, loaded, system

SIGNING = "whsec_" + "QUJD" * 10
PAIR = "A" * 43 + "="
FULL = {"HOOK": SIGNING, "CALLBACK": f"{SIGNING} {SIGNING}", "SHOP_KEY": "x"}


def test_nothing_is_missing_when_everything_is_there(tmp_path):
    assert missing_secrets(loaded(document(), tmp_path), FULL, tmp_path / "routes.yaml") == []


def test_halves_of_key_pairs_in_their_places_are_fine(tmp_path):
    environ = FULL | {"HOOK": f"{SIGNING} whsk_{PAIR}", "CALLBACK": f"whpk_{PAIR}"}
    assert missing_secrets(loaded(document(), tmp_path), environ) == []


@pytest.mark.parametrize(
    ("name", "line", "sentence"),
    [
        ("HOOK", 9, "the webhook secret of group `finance` is missing: set the environment variable HOOK"),
        ("CALLBACK", 9, "the callback secret of group `finance` is missing: set the environment variable CALLBACK"),
        ("SHOP_KEY", 16, "the credential of system `shop` is missing: set the environment variable SHOP_KEY"),
    ],
)
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_secret_that_is_absent_or_empty_is_one_clear_sentence(name, line, sentence, value, tmp_path):
    environ = {key: found for key, found in {**FULL, name: value}.items() if found is not None}
    path = tmp_path / "routes.yaml"
    (found,) = missing_secrets(loaded(document(), tmp_path), environ, path)
    assert (found.file, found.line, found.sentence) == (str(path), line, sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HOOK", "changeme", "must begin with whsec_"),
        ("HOOK", "whsec_!!!", "must be standard base64"),
        ("CALLBACK", f"{SIGNING} whsec_QUJD", "must be 24 to 64 bytes long"),
        ("CALLBACK", f"{SIGNING}\n{SIGNING}", "contains a line break"),
        ("HOOK", f"{SIGNING} whpk_{PAIR}", "a public key (whpk_), which cannot sign"),
        ("CALLBACK", f"whsk_{PAIR}", "stays with whoever signs: use the public one (whpk_)"),
        ("SHOP_KEY", "tö\nX: y", "contains a line break"),
    ],
)
def test_a_secret_that_could_never_work_is_told_before_the_first_call(name, value, sentence, tmp_path):
    (found,) = missing_secrets(loaded(document(), tmp_path), {**FULL, name: value})
    assert f"(environment variable {name}) cannot be used: " in found.sentence and sentence in found.sentence
    assert value not in found.sentence and "X: y" not in found.sentence


def test_without_the_path_the_sentence_is_the_same(tmp_path):
    (found,) = missing_secrets(loaded(document(), tmp_path), {**FULL, "HOOK": ""})
    assert (
        str(found) == "routes.yaml: the webhook secret of group `finance` is missing: set the environment variable HOOK"
    )


@pytest.mark.parametrize(
    "kind",
    ["bearer: X", "basic: {username: a, password: X}", "header: {name: K, value: X}", "query: {name: k, value: X}"],
)
def test_every_kind_of_credential_is_looked_at_on_its_line(kind, tmp_path):
    secret = tmp_path / "secret"
    first, _, rest = kind.partition(": ")
    text = system("credential:", f"  {first}:", f"    {rest}".replace("X", f"{{file: {secret}}}"))
    routes, path = loaded(text, tmp_path), tmp_path / "routes.yaml"
    (found,) = missing_secrets(routes, FULL, path)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if str(secret) in row)
    assert found.sentence.endswith(f"the file {secret} cannot be read (no such file or directory)")
    assert found.line in (line, line - 1), "on the line of the field that holds the reference"
    secret.write_text("\n", encoding="utf-8")
    assert missing_secrets(routes, FULL, path)[0].sentence.endswith(f"the file {secret} is empty")
    secret.write_text("s3cr3t\n", encoding="utf-8")
    assert missing_secrets(routes, FULL, path) == []


def test_a_secret_in_a_pipe_or_folder_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        routes = loaded(system(f"credential: {{bearer: {{file: {tmp_path / name}}}}}"), tmp_path)
        assert missing_secrets(routes, FULL)[0].sentence.endswith("is not a regular file")


def test_tls_files_are_looked_at_too(tmp_path):
    text = document(f"listen: {{tls: {{cert: {tmp_path}/a.crt, key: {tmp_path}/a.key}}}}")
    found = missing_secrets(loaded(text, tmp_path), FULL, tmp_path / "routes.yaml")
    assert [mistake.sentence.split(":")[0] for mistake in found] == ["TLS cannot be used"] * 2
    assert {mistake.line for mistake in found} == {len(text.splitlines())}


def test_no_sentence_holds_the_value_of_a_secret(tmp_path):
    environ = {**FULL, "HOOK": "", "SHOP_KEY": "sk_live_51H"}
    assert "sk_live_51H" not in str(missing_secrets(loaded(document(), tmp_path), environ))


def test_every_secret_of_the_routes_is_named(tmp_path):
    assert [str(reference) for _, _, reference in secrets(loaded(document(), tmp_path))] == [
        "env:SHOP_KEY",
        "env:HOOK",
        "env:CALLBACK",
    ]


@pytest.mark.parametrize(
    "control", ["http://127.0.0.1:8081", "http://localhost:8081", "http://0.0.0.0:8081", "http://[::1]:1"]
)
def test_another_machine_cannot_call_back_an_address_of_this_one_alone(control, tmp_path):
    path = tmp_path / "routes.yaml"
    (found,) = callback_mistakes(loaded(document(), tmp_path), control, path)
    assert (found.file, found.line) == (str(path), 9)
    assert found.sentence.startswith("the webhook of group `finance` is on another machine, which cannot call back")
    assert "GATEWAY_CONTROL_URL" in found.sentence


def test_an_address_that_others_reach_is_right(tmp_path):
    assert callback_mistakes(loaded(document(), tmp_path), "https://gateway.acme.example") == []


@pytest.mark.parametrize("hook", ["http://127.0.0.1:9/hook", "http://localhost/hook"])
def test_on_one_machine_loopback_is_right(hook, tmp_path):
    routes, _ = load(document().replace("https://approvals.acme.example/hook", hook), tmp_path)
    assert routes is not None and callback_mistakes(routes, "http://127.0.0.1:8081") == []


def test_a_control_address_that_is_none_says_so(tmp_path):
    (found,) = callback_mistakes(loaded(document(), tmp_path), "gateway:8081")
    assert str(found).startswith("GATEWAY_CONTROL_URL: the address of the control plane must be an http or https")


def test_secrets_of_a_file_with_mistakes_are_looked_at_too(tmp_path):
    path = tmp_path / "routes.yaml"
    kinds = ["{bearer: {env: BEARER}}", "{basic: {password: {env: BASIC}}}", "{header: {value: {env: HEADER}}}"]
    kinds += ["{query: {value: {env: QUERY}}}", "text", "{bearer: text}", "{bearer: {env: '1 no name'}}", "[]"]
    credentials = "".join(f"  s{number}: {{credential: {kind}}}\n" for number, kind in enumerate(kinds))
    path.write_text(document("nonsense: 1", systems=f"systems:\n{credentials}"), encoding="utf-8")
    found = missing_secrets_of_file(path, {"CALLBACK": "short", "BASIC": "x\ny"})
    assert [(item.line, item.sentence.split(": ")[0]) for item in found] == [
        (9, "the callback secret of group `finance` (environment variable CALLBACK) cannot be used"),
        (9, "the webhook secret of group `finance` is missing"),
        (13, "the credential of system `s0` is missing"),
        (14, "the credential of system `s1` (environment variable BASIC) cannot be used"),
        (15, "the credential of system `s2` is missing"),
        (16, "the credential of system `s3` is missing"),
    ]
    assert [item.sentence.split()[-1] for item in found if "missing" in item.sentence] == (
        ["HOOK", "BEARER", "HEADER", "QUERY"]
    )


@pytest.mark.parametrize("text", ["approvals: {a: {notify: {secret: {env: X}}}, b: [], c: {notify: [1]}}", "x: 1", ""])
def test_what_no_secret_can_be_read_from_is_passed_over(text, tmp_path):
    (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")
    assert missing_secrets_of_file(tmp_path / "routes.yaml", {}) == []
    assert missing_secrets_of_file(tmp_path / "nowhere.yaml", {}) == []
