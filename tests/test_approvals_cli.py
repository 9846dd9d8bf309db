"""`gateway approvals` as an approver meets it: a process with a token, against a real gateway."""

import codecs
import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
import yaml
from typer.testing import CliRunner

from tests.gateway_process import environment, eventually, token_of
from tests.gateway_world import BOTH, HELD, PAIR, world
from tests.processes import PATIENCE_SECONDS, free_port
from tests.scripted_upstream import fresh

YES = "--yes"


def allow(routes):
    routes["approvals"]["finance"]["standing"] = {"longest": "8h"}


@pytest.fixture(scope="module")
def scene():
    with world(change=allow) as made:
        yield made


def variables(scene, person: str = "lead") -> dict[str, str]:
    return environment(GATEWAY_CONTROL_URL=scene.gateway.control, GATEWAY_TOKEN=token_of(person), NO_COLOR="1")


def approvals(scene, *words: str, person: str = "lead", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "approvals", *words], env=variables(scene, person) | more,
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def said_no(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and "Traceback" not in done.stderr, done
    return done.stderr


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_what_waits_soonest_first_and_how_much_more_there_is(scene):
    to = fresh("pay")
    calls = [scene.hold(to), scene.hold(fresh("pay"), BOTH), scene.hold(fresh("pay"), agent="other")]
    done = approvals(scene, "--limit", "1000")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["CALL", "LEFT", "AGENT", "WAITS", "FOR", "WANTS"]
    mine = [row for row in rows if row.split()[0] in calls]
    assert [row.split()[0] for row in mine] == calls
    wants = rf"{calls[0]} +59 min +bot +finance +bot wants to call bank\.pay\(to={to}, amount={HELD}\)"
    assert re.fullmatch(wants, mine[0]), mine[0]
    assert " finance, legal " in mine[1] and " other " in mine[2]
    first = approvals(scene, "--limit", "1")
    assert len(first.stdout.splitlines()) == 2 and f"{len(rows)} wait in all" in first.stderr
    told = json.loads(approvals(scene, "--json", "--limit", "2").stdout)
    assert len(told["approvals"]) == 2 and told["waiting"] == len(rows)


def test_a_long_list_is_fetched_page_by_page():
    from gateway import approvals_asking

    asked = []

    class Control:
        def get(self, path, **query):
            asked.append(query)
            start = int(query.get("after", 0))
            some = list(range(start, min(start + query["limit"], 250)))
            return {"approvals": some, "waiting": 250, "next": str(some[-1] + 1) if some[-1] < 249 else None}

    found, waiting = approvals_asking.listed(Control(), 230)
    assert [str(item) for item in found] == [str(number) for number in range(230)] and waiting == 250
    assert asked == [{"limit": 100}, {"limit": 100, "after": "100"}, {"limit": 30, "after": "200"}]
    assert len(approvals_asking.listed(Control(), 1000)[0]) == 250


# --- Who and where ----------------------------------------------------------------------------------------------------


def test_without_a_token_it_says_where_to_get_one(scene):
    said = said_no(approvals(scene, GATEWAY_TOKEN=""))
    assert "GATEWAY_TOKEN is not set" in said and "gateway key new person NAME" in said


@pytest.mark.parametrize("words", [["show", "07" + "ab" * 11], ["approve", "07" + "ab" * 11, YES], []])
def test_a_wrong_token_is_told_by_the_control_plane(scene, words):
    assert "belongs to nobody in routes.yaml" in said_no(approvals(scene, *words, GATEWAY_TOKEN="gp_nobodys"))


def test_a_gateway_that_is_not_there_is_a_sentence(scene):
    url = f"http://127.0.0.1:{free_port()}"
    said = said_no(approvals(scene, "--url", url))
    assert url in said and "is the gateway running" in said


@pytest.mark.parametrize("url", ["localhost:8081", "ftp://x", "http://x/prefix", "http://"])
def test_an_address_that_is_none_says_what_one_looks_like(scene, url):
    assert "http://127.0.0.1:8081" in said_no(approvals(scene, "--url", url))


def test_the_agents_port_is_not_taken_for_the_control_plane(scene):
    said_no(approvals(scene, "--url", scene.gateway.agents))


def test_a_token_in_the_shell_does_not_stop_other_commands(scene, tmp_path):
    routes, policies = tmp_path / "routes.yaml", tmp_path / "policies"
    routes.write_text(yaml.safe_dump(scene.routes))
    policies.mkdir()
    (policies / "all.cedar").write_text((scene.gateway.folder / "policies" / "all.cedar").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "check", "--routes", routes, "--policies", policies],
        env=environment(**scene.secrets, GATEWAY_TOKEN="gp_x"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call", ["nothing", "../calls", "x/decision", "07" + "ab" * 11])
def test_an_id_that_is_none_is_a_sentence(scene, call):
    said_no(approvals(scene, "show", call))
    said_no(approvals(scene, "approve", call, YES))


# --- Show -------------------------------------------------------------------------------------------------------------


def test_show_prints_everything_and_nothing_that_a_terminal_obeys(scene):
    to = "ann\x1b[2J\u202etxt.exe"
    call = scene.agent().post(
        "/bank/payments", json={"to": "ann", "amount": HELD, "note": to},
        headers={"gateway-reason": "the cup was broken", "prefer": "wait=0"},
    ).json()["call"]  # fmt: skip
    done = approvals(scene, "show", call)
    assert (done.returncode, done.stderr) == (0, "")
    assert r'"ann\u001b[2J\u202etxt.exe"' in done.stdout and str(HELD) in done.stdout
    assert all(character == "\n" or character.isprintable() for character in done.stdout)
    for part in ("held, 59 min left", "large-needs-finance: Payments above 10.00 need", '"the cup was broken"'):
        assert part in done.stdout
    told = approvals(scene, "show", call, "--json")
    assert told.stdout.isascii() and json.loads(told.stdout)["input"]["note"] == to


# --- Deciding ---------------------------------------------------------------------------------------------------------


def test_a_yes_is_recorded_as_the_persons_and_says_what_came_of_it(scene):
    to = fresh("pay")
    call = scene.hold(to)
    done = approvals(scene, "approve", call, YES, "--reason", "invoice 7")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert f'"{to}"' in done.stdout, "what is decided is shown, asked or not"
    assert "Recorded: approve for finance. The call was carried out; the system answered 200." in done.stdout
    assert len(scene.upstream.seen(to)) == 1
    told = scene.person("auditor").get(f"/calls/{call}").json()["timeline"]
    assert ["lead approved for finance" in item["text"] for item in told if item["fact"] == "Approved"] == [True]


def test_a_yes_that_needs_another_leaves_the_call_held(scene):
    call = scene.hold(fresh("pay"), PAIR)
    first = approvals(scene, "approve", call, YES)
    assert first.returncode == 0 and first.stdout.endswith("The call is held.\n")
    assert "one person counts once" in said_no(approvals(scene, "approve", call, YES))
    assert "lead said yes for pair" in approvals(scene, "show", call).stdout
    assert approvals(scene, "approve", call, YES, person="second").returncode == 0
    eventually(lambda: scene.state(call) == "answered")


def test_a_no_needs_a_reason_and_the_agent_reads_it(scene):
    call = scene.hold(fresh("pay"))
    assert approvals(scene, "reject", call, YES).returncode == 2 and scene.state(call) == "held"
    done = approvals(scene, "reject", call, YES, "--reason", "not this month")
    assert done.returncode == 0 and done.stdout.endswith("Recorded: reject for finance. The call is denied.\n")
    assert "not this month" in json.dumps(scene.status(call))


def test_of_several_groups_one_must_be_named(scene):
    call = scene.hold(fresh("pay"), BOTH)
    assert "waits for finance and legal" in said_no(approvals(scene, "approve", call, YES))
    assert "does not wait for 'pair'" in said_no(approvals(scene, "approve", call, YES, "--approval", "pair"))
    assert approvals(scene, "approve", call, YES, "--approval", "legal").returncode == 0
    assert "lead said yes for legal" in approvals(scene, "show", call).stdout


@pytest.mark.parametrize(
    ("person", "why"), [("boss", "somebody else"), ("outsider", "not a member"), ("auditor", "role")]
)
def test_the_control_plane_decides_who_may(scene, person, why):
    call = scene.hold(fresh("pay"))
    assert why in said_no(approvals(scene, "approve", call, YES, person=person))
    assert scene.state(call) == "held" and "Approved" not in scene.timeline(call)


def test_a_decision_is_bound_to_what_was_shown(scene):
    to = fresh("pay")
    call = scene.hold(to)
    said = said_no(approvals(scene, "approve", call, YES, "--fingerprint", "0" * 64))
    assert "has changed, look again" in said and f"gateway approvals show {call}" in said
    assert "Approved" not in scene.timeline(call) and scene.upstream.seen(to) == []
    fingerprint = re.search(r"fingerprint +([0-9a-f]{64}) ", approvals(scene, "show", call).stdout)
    assert fingerprint and approvals(scene, "approve", call, YES, "--fingerprint", fingerprint[1]).returncode == 0


def test_what_is_over_is_not_decided_again(scene):
    call = scene.hold(fresh("pay"))
    approvals(scene, "reject", call, YES, "--reason", "no")
    assert "waits for nobody any more, it is denied" in said_no(approvals(scene, "approve", call, YES))


def test_for_programs_the_answer_is_json_alone(scene):
    call = scene.hold(fresh("pay"))
    done = approvals(scene, "approve", call, YES, "--json")
    assert done.returncode == 0 and done.stderr == "" and json.loads(done.stdout)["recorded"] is True


def test_nobody_is_asked_where_there_is_no_terminal(scene):
    call = scene.hold(fresh("pay"))
    said = said_no(approvals(scene, "approve", call))
    assert "Nothing was recorded" in said and YES in said and scene.state(call) == "held"


class Terminal:
    """The command on a terminal of its own, with somebody who types."""

    def __init__(self, scene, *words: str) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "approvals", *words], env=variables(scene), stdin=theirs, stdout=theirs,
            stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.said, self.decoder = "", codecs.getincrementaldecoder("utf-8")()

    def until(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self.ours], [], [], 0.2)[0]:
                self.said += self.decoder.decode(os.read(self.ours, 65536))

    def answer(self, text: str) -> int:
        self.until("exactly as shown? [y/N]")
        os.write(self.ours, text.encode())
        try:
            while piece := os.read(self.ours, 65536):
                self.said += self.decoder.decode(piece)
        except OSError:  # Linux: the other end is closed
            pass
        os.close(self.ours)
        return self.process.wait(PATIENCE_SECONDS)


def test_a_person_is_shown_the_question_then_asked(scene):
    to = fresh("pay")
    call = scene.hold(to)
    terminal = Terminal(scene, "approve", call)
    terminal.until("[y/N]")
    assert terminal.said.index(f'"{to}"') < terminal.said.index("Approve this for finance")
    assert scene.state(call) == "held", "showing decides nothing"
    assert terminal.answer("y\n") == 0
    eventually(lambda: scene.state(call) == "answered")


@pytest.mark.parametrize("typed", ["\n", "n\n"])
def test_anything_but_yes_records_nothing(scene, typed):
    call = scene.hold(fresh("pay"))
    terminal = Terminal(scene, "approve", call)
    assert terminal.answer(typed) == 1 and "Nothing was recorded." in terminal.said
    assert scene.state(call) == "held" and "Approved" not in scene.timeline(call)


def test_what_changed_while_the_person_read_is_not_approved():
    """A second forbid of the same group appears: what was shown is no longer all that is asked."""
    with world() as scene:
        to = fresh("pay")
        call = scene.hold(to)
        terminal = Terminal(scene, "approve", call)
        terminal.until("[y/N]")
        more = """
@id("new-rule") @approval("finance") @reason("A new rule.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount == 5000 };
"""
        policies = scene.gateway.folder / "policies" / "all.cedar"
        scene.gateway.edit_policies(policies.read_text() + more)
        assert terminal.answer("y\n") == 1
        assert "has changed, look again" in terminal.said, terminal.said
        assert "Approved" not in scene.timeline(call) and scene.upstream.seen(to) == []
        eventually(lambda: "new-rule: A new rule." in approvals(scene, "show", call).stdout)


# --- Editing, taking back, ending -------------------------------------------------------------------------------------


def test_a_yes_with_other_arguments_does_those_and_shows_what_changes(scene):
    to = fresh("pay")
    call = scene.hold(to)
    done = approvals(scene, "edit", call, "amount=2000", "--reason", "half now", YES)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert f"amount  {HELD} -> 2000" in done.stdout and "carried out" in done.stdout
    (sent,) = scene.upstream.seen(to)
    assert json.loads(sent.body)["amount"] == 2000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["amount"], "not NAME=VALUE"), ([], "say what to change"), ([f"amount={HELD}"], "already"),
        (["--without", "note"], "no argument 'note'"), (["amount=-1"], "Nothing was recorded"),
        (["amount=500000"], "denied"), (["other=1"], "Nothing was recorded"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_made_records_nothing(scene, words, said):
    to = fresh("pay")
    call = scene.hold(to)
    assert said in said_no(approvals(scene, "edit", call, *words, YES))
    assert scene.state(call) == "held" and scene.upstream.seen(to) == []
    assert not {"Edited", "Approved"} & set(scene.timeline(call))


def test_an_edit_is_about_the_one_reading_that_was_shown(scene, monkeypatch):
    """Whatever others do between two readings: there is one."""
    from gateway import approvals_asking, approvals_cli

    question = scene.person("lead").get(f"/approvals/{scene.hold(fresh('pay'))}").json()
    read, posted = [], []

    class Control:
        def get(self, path, **query):
            if path.startswith("/calls/"):
                return {"state": "held"}
            read.append(path)
            asked = question["questions"][0] | {"fingerprint": f"{len(read):064x}"}
            return question | {"input": question["input"] | {"amount": HELD + len(read)}, "questions": [asked]}

        def post(self, path, body):
            posted.append(body)
            return {"state": "held"}

    monkeypatch.setattr(approvals_asking, "control", lambda url: Control())
    done = CliRunner().invoke(approvals_cli.approvals, ["edit", question["call"], "amount=2000", YES])
    assert done.exit_code == 0, done.output
    assert f"amount  {HELD + 1} -> 2000" in done.output and f"amount                    {HELD + 1}\n" in done.output
    assert read == [f"/approvals/{question['call']}"] and posted[0]["fingerprint"] == f"{1:064x}"


def test_a_yes_can_be_taken_back_while_another_is_awaited(scene):
    call = scene.hold(fresh("pay"), PAIR)
    assert "nobody said yes" in said_no(approvals(scene, "retract", call))
    assert approvals(scene, "approve", call, YES).returncode == 0
    assert "by 'second'" in said_no(approvals(scene, "retract", call, person="second"))
    done = approvals(scene, "retract", call)
    assert done.returncode == 0 and "your yes for pair is taken back" in done.stdout
    assert "Retracted" in scene.timeline(call)


def test_a_call_is_ended_by_who_answers_for_it_and_by_nobody_else(scene):
    call = scene.hold(fresh("pay"))
    assert "neither owns" in said_no(approvals(scene, "cancel", call, YES, person="outsider"))
    assert scene.state(call) == "held"
    done = approvals(scene, "cancel", call, YES, "--reason", "wrong month", person="boss")
    assert done.returncode == 0 and "the call is denied" in done.stdout
    told = scene.person("auditor").get(f"/calls/{call}").json()["timeline"]
    assert [
        "boss" in item["text"] and "wrong month" in item["text"] for item in told if item["fact"] == "Cancelled"
    ] == [True]


# --- Standing grants --------------------------------------------------------------------------------------------------


def grants(scene, *words: str, person: str = "lead") -> str:
    done = approvals(scene, *words, person=person)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_a_grant_is_shown_given_used_listed_and_revoked(scene):
    to = fresh("pay")
    call = scene.hold(to)
    said = grants(scene, "grant", call, "--up-to", "amount=9000", "--for", "1h", YES)
    (name,) = set(re.findall(r"grant-\d\d[0-9a-f]{22}", said))
    assert f'"{to}"' in said and "context.input.amount <= 9000" in said and f"gateway approvals revoke {name}" in said
    eventually(lambda: scene.state(call) == "answered")
    eventually(lambda: scene.pay(to, 8_000, prefer="wait=0").status_code == 200)
    (line,) = [line for line in grants(scene, "grants", person="auditor").splitlines() if name in line]
    assert re.fullmatch(rf"{name} +open +bot +bank\.pay +large-needs-finance +\S+Z +lead", line), line
    assert "context.input.amount <= 9000" in grants(scene, "grants", name)
    assert json.loads(grants(scene, "grants", name, "--json"))["given"][0]["by"] == "lead"
    assert json.loads(grants(scene, "grants", "--json"))["grants"][0]["grant"] == name
    assert f"{name} is revoked" in grants(scene, "revoke", name)
    assert scene.pay(to, 7_000, prefer="wait=0").status_code == 409
    assert "not kept" in grants(scene, "grants", name)


@pytest.mark.parametrize(
    ("words", "person", "why"),
    [
        (["--for", "9h"], "lead", "`until` must be between"), (["--until", "noon"], "lead", "`until` must be a moment"),
        ([], "lead", "say how long"), (["--for", "1h", "--up-to", "color=3"], "lead", "color"),
        (["--for", "1h"], "outsider", "not a member"), (["--for", "1h"], "boss", "somebody else"),
        (["--for", "1h"], "auditor", "role"), (["--for", "1h", "--fingerprint", "0" * 64], "lead", "look again"),
    ],
)  # fmt: skip
def test_a_grant_that_cannot_be_given_records_nothing(scene, words, person, why):
    before = grants(scene, "grants", "--json")
    call = scene.hold(fresh("pay"))
    assert why in said_no(approvals(scene, "grant", call, *words, YES, person=person))
    assert scene.state(call) == "held" and grants(scene, "grants", "--json") == before


def test_a_grant_is_read_before_it_is_given(scene):
    call = scene.hold(fresh("pay"))
    before = grants(scene, "grants", "--json")
    terminal = Terminal(scene, "grant", call, "--any", "note", "--for", "1h")
    terminal.until("[y/N]")
    assert terminal.said.index("@grants(") < terminal.said.index("Grant this for finance")
    assert terminal.answer("n\n") == 1 and "Nothing was recorded." in terminal.said
    assert scene.state(call) == "held" and grants(scene, "grants", "--json") == before


@pytest.mark.parametrize("words", [["revoke"], ["grants"]])
def test_a_grant_that_is_not_there_is_a_sentence(scene, words):
    assert "over" in said_no(approvals(scene, *words, "grant-07" + "ab" * 11))
    assert "Nothing" not in said_no(approvals(scene, *words, "../calls"))


def test_only_who_may_ends_a_grant(scene):
    call = scene.hold(fresh("pay"))
    name = json.loads(grants(scene, "grant", call, "--for", "1h", YES, "--json"))["grants"][0]["grant"]
    assert "finance" in said_no(approvals(scene, "revoke", name, person="outsider"))
    assert json.loads(grants(scene, "grants", name, "--json"))["state"] == "open"
