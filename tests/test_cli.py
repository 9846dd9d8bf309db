"""The command line as somebody meets it: help, exit codes, and which stream says what. Every command is a process."""

import hashlib
import os
import pty
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import yaml

from gateway import __version__
from gateway.cli import app
from gateway.core.secret_format import key_of
from gateway.ledger.note import read_signer
from gateway.wire.webhook import sign, verify
from tests.gateway_process import environment, eventually
from tests.gateway_world import HELD, world
from tests.processes import PATIENCE_SECONDS, free_port
from tests.test_starting import PERMIT, SECRETS, place

STAMP = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
COMMANDS = [
    "",
    "serve",
    "check",
    "schema",
    "key",
    "key new",
    "calls",
    "calls show",
    "demo",
    "approvals",
    "approvals show",
    "approvals approve",
    "approvals reject",
    "approvals edit",
    "approvals retract",
    "approvals cancel",
    "approvals stats",
    "audit",
    "audit show",
    "audit list",
    "audit export",
    "audit receipt",
    "audit verify-receipt",
    "audit diff",
]


def gateway(*words: str | Path, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, words)], cwd=folder, env=environment(**SECRETS | variables),
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def plain(text: str) -> str:
    """Without colours, boxes and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", "", text).split())


# --- Help -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helps() -> dict[str, subprocess.CompletedProcess[str]]:
    """What every command says to --help. Two at a time: they are many, and each is a process."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(COMMANDS, pool.map(lambda command: gateway(*command.split(), "--help"), COMMANDS), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, helps):
    done = helps[command]
    assert done.returncode == 0 and done.stderr == ""
    said = plain(done.stdout)
    assert f"Usage: gateway {command}".strip() in said
    assert len(said) > 150, "a newcomer needs more than the usage line"


def test_a_single_letter_asks_for_help_too(helps):
    assert gateway("calls", "show", "-h").stdout == helps["calls show"].stdout != ""


def test_the_list_above_is_every_command():
    found = {
        command.callback.__name__ for command in app.registered_commands if command.callback and not command.hidden
    }
    groups = {group.name for group in app.registered_groups}
    assert found | groups == {command.split()[0] for command in COMMANDS if command}


def test_the_version_is_one_line():
    done = gateway("--version")
    assert done.returncode == 0 and re.fullmatch(r"gateway \d+\.\d+\.\d+, Python \d+\.\d+\.\d+\n", done.stdout)


def test_the_gateway_alone_says_where_to_begin():
    said = plain(gateway().stdout + gateway().stderr)
    for words in ("gateway demo", "gateway check", "gateway serve", "docs/operations.md"):
        assert words in said


@pytest.mark.parametrize(
    "command",
    ["serve", "check", "schema", "calls", "calls show", *(name for name in COMMANDS if name.startswith("approvals"))],
)
def test_every_option_says_what_it_is_for(command, helps):
    said = helps[command].stdout
    for option in re.findall(r"^│ (--[a-z-]+)(.*)$", said, re.MULTILINE):
        assert len(re.sub(r"<[^>]*>|\[[^]]*\]", "", option[1]).strip(" │")) > 5, option


@pytest.mark.parametrize(
    "words", [["serv"], ["calls", "shwo", "x"], ["check", "--route", "x"], ["key", "new", "robot", "x"]]
)
def test_a_misspelt_command_is_exit_code_2(words):
    done = gateway(*words)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr


# --- check, schema, serve ---------------------------------------------------------------------------------------------


def test_an_argument_that_is_no_text_is_a_sentence():
    done = gateway("audit", "list", "--agent", "\udcff")
    assert done.returncode == 2 and done.stderr == "An argument is not UTF-8: it has '\\udcff'.\n"


def test_check_of_good_files_says_what_is_in_them(tmp_path):
    place(tmp_path)
    done = gateway("check", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"No mistakes\. 1 system, 1 tool, 1 agent; generation [0-9a-f]{12}\.\n", done.stdout)


def test_check_notes_the_placeholder_of_a_key_and_is_content(tmp_path):
    place(tmp_path, agents={"bot": {"owner": "olga", "keys": [{"sha256": "0" * 64}]}})
    done = gateway("check", folder=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("No mistakes. ")
    assert done.stderr.startswith("Note: the key of bot is the placeholder") and done.stderr.count("\n") == 1


def test_check_tells_every_mistake_with_file_and_line_at_once(tmp_path):
    place(tmp_path, PERMIT.replace("action,", 'action == Action::"bank.nothing",'), agents={"bot": {"owner": "nobody"}})
    routes = gateway("check", folder=tmp_path)
    assert routes.returncode == 1 and routes.stdout == ""
    assert re.search(r"^routes\.yaml:\d+: .*nobody", routes.stderr, re.MULTILINE)
    place(tmp_path, PERMIT.replace("all", "one") + PERMIT.replace("all", "one") + '@approval("nobody") ' + PERMIT)
    policies = gateway("check", folder=tmp_path)
    assert len(re.findall(r"^policies/all\.cedar:\d+: ", policies.stderr, re.MULTILINE)) >= 2, policies.stderr
    assert re.search(r"^(1 mistake|\d+ mistakes)\.$", policies.stderr, re.MULTILINE)


@pytest.mark.parametrize("command", ["check", "serve", "schema"])
def test_an_unreadable_file_is_a_sentence_and_not_a_crash(tmp_path, command):
    (tmp_path / "policies").mkdir()
    (tmp_path / "routes.yaml").write_bytes(b"version: 1\nsystems: \xff\xfe\n")
    done = gateway(command, folder=tmp_path)
    assert done.returncode == 1 and "routes.yaml" in done.stderr and "Traceback" not in done.stderr


def test_serve_with_a_broken_file_starts_nothing_and_names_file_and_line(tmp_path):
    place(tmp_path, '@id("x") permit (principal, action, resource')
    done = gateway("serve", folder=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"^policies/all\.cedar:1: ", done.stderr)
    assert not (tmp_path / ".gateway").exists()


def test_serve_on_a_port_in_use_is_a_sentence(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place(tmp_path, listen={"agents": f"127.0.0.1:{port}", "control": f"127.0.0.1:{free_port()}"})
        done = gateway("serve", folder=tmp_path)
    assert done.returncode == 1
    assert f"'127.0.0.1:{port}' is in use by another process" in done.stderr and "Traceback" not in done.stderr


def test_serve_in_a_directory_that_it_may_not_use_is_a_sentence(tmp_path):
    place(tmp_path, listen={"agents": f"127.0.0.1:{free_port()}", "control": f"127.0.0.1:{free_port()}"})
    (tmp_path / "data").write_text("a file")
    done = gateway("serve", "--data", tmp_path / "data", folder=tmp_path)
    assert done.returncode == 1 and str(tmp_path / "data") in done.stderr and "Traceback" not in done.stderr


def test_the_schema_is_alone_on_standard_output(tmp_path):
    place(tmp_path)
    done = gateway("schema", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'action "bank.get"' in done.stdout and "entity Agent" in done.stdout
    (tmp_path / "routes.yaml").write_text("version: 7\n")
    broken = gateway("schema", folder=tmp_path)
    assert broken.returncode == 1 and broken.stdout == "" and broken.stderr.startswith("routes.yaml:1: ")


def test_a_child_is_not_started_by_hand():
    done = gateway("child")
    assert done.returncode == 1 and "run `gateway serve` instead" in done.stderr


def test_the_log_says_ready_only_if_effects_are_possible(tmp_path, own_valkey):
    place(tmp_path, listen={"agents": f"127.0.0.1:{free_port()}", "control": f"127.0.0.1:{free_port()}"})
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("appendfsync", "everysec")
    settings = environment(**SECRETS, GATEWAY_REDIS_URL=own_valkey.url)
    command = [sys.executable, "-m", "gateway", "serve", "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=settings, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = next(line for line in process.stderr if "control plane at" in line)
            up = "INFO supervisor: The gateway is up, but not ready: agents at http://127.0.0.1:"
            assert re.match(f"{STAMP} {up}", said) and said.endswith(f" version {__version__}.\n"), said
            why = next(process.stderr)
        finally:
            process.terminate()
    assert re.match(f"{STAMP} ERROR supervisor: effects are not possible", why), why
    assert "appendfsync is everysec" in why and why.count("everysec") == 1


def test_a_start_without_its_redis_ends_with_the_sentence_that_says_so(tmp_path):
    place(tmp_path, listen={"agents": f"127.0.0.1:{free_port()}", "control": f"127.0.0.1:{free_port()}"})
    settings = environment(**SECRETS, GATEWAY_REDIS_URL="redis://127.0.0.1:1")
    command = [sys.executable, "-m", "gateway", "serve", "--workers", "1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.match(
        rf"{STAMP} ERROR supervisor: The gateway cannot start: the journal cannot be reached \(for 10 s", last
    )
    assert last.endswith("start that Redis, or correct GATEWAY_REDIS_URL.") and "exit code" not in last


# --- key new ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "prefix", "under"), [("agent", "gk_", "agents.a.keys"), ("person", "gp_", "people.a.tokens")]
)
def test_a_new_key_is_alone_on_standard_output_and_its_digest_beside_it(kind, prefix, under):
    done = gateway("key", "new", kind, "a")
    assert done.returncode == 0
    secret = done.stdout.removesuffix("\n")
    assert re.fullmatch(prefix + r"[A-Za-z0-9_-]{43}", secret)
    assert secret not in done.stderr and under in done.stderr
    line = re.search(r"^  (- \{.*\})$", done.stderr, re.MULTILINE)
    assert line and yaml.safe_load(line[1]) == [{"sha256": hashlib.sha256(secret.encode()).hexdigest()}]
    assert gateway("key", "new", kind, "a").stdout != done.stdout


def test_a_new_key_works_where_it_says(tmp_path):
    done = gateway("key", "new", "agent", "bot")
    line = re.search(r"^  - (\{.*\})$", done.stderr, re.MULTILINE)
    assert line
    place(tmp_path, agents={"bot": {"owner": "olga", "keys": [yaml.safe_load(line[1])]}})
    assert gateway("check", folder=tmp_path).returncode == 0


@pytest.mark.parametrize("kind", ["agent", "person", "ledger"])
def test_a_key_is_somebodys(kind):
    done = gateway("key", "new", kind)
    assert done.returncode == 2 and done.stdout == "" and f"gateway key new {kind} NAME" in plain(done.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agent", "a b"], "'a b' cannot be a name in routes.yaml"),
        (["person", "ülle"], "cannot be a name"),
        (["ledger", "https://acme.example"], "the origin of a ledger must be a name without a scheme"),
        (["robot", "x"], "choose agent, person, webhook, webhook-pair or ledger"),
    ],
)
def test_no_key_is_made_for_what_routes_yaml_refuses(words, said):
    done = gateway("key", "new", *words)
    assert done.returncode == 2 and done.stdout == "" and "Value error" not in done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("number", ["abc", "-1", "1.5"])
def test_a_number_that_is_none_is_told_in_plain_words(number):
    done = gateway("serve", f"--workers={number}")
    assert done.returncode == 2
    assert "it must be a whole number, 0 or more" in " ".join(done.stderr.replace("│", " ").split())


def test_a_new_webhook_secret_is_alone_on_standard_output_and_signs():
    done = gateway("key", "new", "webhook")
    assert done.returncode == 0 and done.stdout.strip() not in done.stderr
    assert len(key_of(done.stdout.removesuffix("\n"))) == 32


def test_a_new_pair_signs_with_what_is_on_standard_output_and_verifies_with_what_is_beside_it():
    done = gateway("key", "new", "webhook-pair")
    private, public = done.stdout.removesuffix("\n"), re.findall(r"whpk_\S+", done.stderr)
    assert done.returncode == 0 and private.startswith("whsk_") and private not in done.stderr
    signature = sign(private, "msg_1", 1, b"{}")
    signed = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": signature}
    assert verify(signed, b"{}", public, 1) == ("msg_1", 1)


def test_a_new_key_of_the_ledger_is_alone_on_standard_output_and_its_public_half_beside_it():
    done = gateway("key", "new", "ledger", "gateway.example/audit")
    private, public = done.stdout.removesuffix("\n"), done.stderr.strip().splitlines()[-1].strip()
    assert done.returncode == 0 and private not in done.stderr
    assert str(read_signer(private).verifier) == public and read_signer(private).name == "gateway.example/audit"


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["calls"], ["calls", "show", "07abababababababababababab"]])
def test_calls_without_a_gateway_says_so(tmp_path, words):
    done = gateway(*words, "--data", tmp_path / "none")
    assert done.returncode == 1 and done.stdout == ""
    assert f"No gateway is running with the data directory '{tmp_path / 'none'}'" in done.stderr


def test_calls_of_a_redis_that_does_not_answer_says_so(tmp_path):
    done = gateway("calls", GATEWAY_REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert done.returncode == 1 and "The journal cannot be read" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["calls"], ["calls", "show", "07abababababababababababab"]])
@pytest.mark.parametrize("url", ["localhost:6379", "http://x"])
def test_calls_of_a_redis_that_is_no_address_says_what_one_looks_like(words, url):
    done = gateway(*words, GATEWAY_REDIS_URL=url)
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    assert "GATEWAY_REDIS_URL" in done.stderr and "redis://host:6379/0" in done.stderr


def test_calls_of_an_empty_journal(own_valkey):
    done = gateway("calls", GATEWAY_REDIS_URL=own_valkey.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "No calls yet.\n", "")
    unknown = gateway("calls", "show", "07" + "ab" * 11, GATEWAY_REDIS_URL=own_valkey.url)
    assert unknown.returncode == 1 and "There is no call '07abab" in unknown.stderr


def test_calls_are_listed_and_told_and_reading_changes_nothing(tmp_path):
    with world() as scene:
        scene.agent().get("/bank/items/7")
        denied = scene.pay("eve", 500_000).json()["call"]
        held = scene.hold("ann", HELD)
        data = scene.gateway.data

        listed = gateway("calls", "--data", data)
        assert listed.returncode == 0 and listed.stderr == ""
        only = gateway("calls", "--state", "held", "--data", data).stdout.splitlines()[1:]
        assert [row.split()[0] for row in only] == [held]
        for spelled in ("in-doubt", "in doubt", "in_doubt"):
            assert gateway("calls", "--state", spelled, "--data", data).stdout == "No such calls.\n"
        odd = gateway("calls", "--state", "answered", "--data", data)
        assert odd.returncode == 1 and "one of held, executing, in-doubt, judging" in odd.stderr
        heading, *rows = listed.stdout.splitlines()
        assert heading.split() == ["CALL", "BEGUN", "STATE", "AGENT", "TOOL", "ABOUT"]
        begins = [heading.index(word) for word in heading.split()]
        assert all(row[begin - 1] == " " and row[begin] != " " for row in rows for begin in begins[1:5]), "columns"
        assert [row.split()[0] for row in rows[:2]] == [held, denied], "newest first"
        assert re.search(r" held +bot +bank\.pay +Account/ann, waits for finance$", rows[0])
        assert re.search(r" denied +bot +bank\.pay +Account/eve$", rows[1])
        assert len(gateway("calls", "--limit", "1", "--data", data).stdout.splitlines()) == 2

        eventually(lambda: "Notified" in scene.timeline(held))
        before = scene.timeline(held)
        story = gateway("calls", "show", held, "--data", data)
        assert story.returncode == 0 and story.stderr == ""
        assert story.stdout.startswith(f"Call {held}: held\n")
        assert re.findall(r"^  \S+Z  \+\S+ \S+ +(\w+) ", story.stdout, re.MULTILINE) == before
        assert "large-needs-finance" in story.stdout and "judged under generation" in story.stdout
        assert str(HELD) not in story.stdout, "no argument in a timeline"
        assert gateway("calls", "--data", data, "show", held).stdout == story.stdout, "--data may stand before `show`"
        assert scene.timeline(held) == before
        assert gateway("calls", "show", held[:12], "--data", data).stdout == story.stdout, "the beginning is enough"
        assert f"There is no call '{held[:3]}'" in gateway("calls", "show", held[:3], "--data", data).stderr

        told = in_a_terminal("calls", "--data", str(data))
        assert held in told and "\x1b[33mheld" in told, "coloured for a person"

        short = held[:4]  # the partition and two digits: some other call of this agent will begin so too
        twin = next(
            made for number in range(3000)
            if (made := scene.agent().get(f"/bank/items/{number}").headers["gateway-call"]).startswith(short)
        )  # fmt: skip
        several = gateway("calls", "show", short, "--data", data)
        assert several.returncode == 1 and re.search(rf"\d calls begin with '{short}'", several.stderr)
        assert twin in several.stderr and held in several.stderr


def in_a_terminal(*words: str) -> str:
    """What a command says to a terminal of 160 columns."""
    ours, theirs = pty.openpty()
    variables = environment(COLUMNS="80", TERM="xterm-256color") | {"NO_COLOR": ""}
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *words], env=variables, stdout=theirs, stdin=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not piece:
                break
            said += piece
        assert process.wait() == 0
    os.close(ours)
    return said.decode()
