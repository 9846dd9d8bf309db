"""`gateway audit erase`, at a gateway that runs: copies and payloads are gone, the facts stay, and it is on record."""

import subprocess
import sys
from contextlib import suppress

import pytest
import redis

from gateway.adapters.embedded import embedded_url
from tests.gateway_process import ROOT, environment, eventually
from tests.gateway_world import HELD, world
from tests.scripted_upstream import fresh


def recorded(routes):
    routes["systems"]["bank"]["tools"]["pay"]["record"] = {"input": "redacted", "output": "full", "mask": ["note"]}


@pytest.fixture
def scene():
    with world(change=recorded) as made:
        yield made


ERASE = (sys.executable, "-m", "gateway", "audit", "erase")


def erase(scene, *words):
    routes = str(scene.gateway.folder / "routes.yaml")
    return run((*ERASE, *words, "--routes", routes, "--data", str(scene.gateway.data)), environment())


def run(words, environ):
    done = subprocess.run(words, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def copies(scene):
    """What is in the payload store: call and part of each."""
    found = (scene.gateway.data / "ledger" / "payloads").rglob("*")
    return sorted(tuple(path.name.split(".")[:2]) for path in found if path.is_file())


def erased(scene):
    """What the deployment's own log says."""
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as client:
        entries = client.xrange("{64}:ledger")
    return [fields[b"facts"].decode() for _, fields in entries if b'"Erased"' in fields[b"facts"]]


def payload(scene, call):
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as client:
        return set(client.hkeys(f"{{{call[:2]}}}:payload:{call}"))


def pay(scene, agent="bot"):
    found = scene.pay(fresh("pay"), agent=agent)
    assert found.status_code == 200
    call = found.headers["gateway-call"]
    eventually(lambda: [part for name, part in copies(scene) if name == call] == ["input", "output"])
    return call


def test_the_payloads_of_an_agent_are_destroyed_and_its_facts_stay(scene):
    mine, others = pay(scene), pay(scene, "other")
    held = scene.hold(fresh("pay"), HELD)
    eventually(lambda: (held, "input") in copies(scene))
    before = scene.timeline(mine)
    assert payload(scene, mine) == {b"request", b"salt", b"answer"}
    code, said = erase(scene, "--agent", "bot", "--reason", "the contract ended", "--by", "dpo")
    assert code == 0 and said == (
        "Erased, of 2 calls: 3 copies in the payload store, and what Redis had of 1. 1 call is not over: what is "
        "needed to go on is destroyed when that has ended.\n"
    )
    assert {name for name, _ in copies(scene)} == {others}
    assert payload(scene, mine) == set() and payload(scene, held) == {b"request", b"salt"}
    [fact] = erased(scene)
    assert mine in fact and held in fact and '"by":"dpo"' in fact and "the contract ended" in fact
    assert scene.timeline(mine) == before and "Recorded" in before
    assert scene.approvers.approve(held).status_code == 200, "what is open goes on"
    eventually(lambda: scene.state(held) == "answered")
    code, said = erase(scene, "--call", others, "--reason", "asked for")
    assert code == 0 and said == "Erased, of 1 call: 2 copies in the payload store, and what Redis had of 1.\n"
    assert not [name for name, _ in copies(scene) if name == others]


def test_a_customer_is_a_resource_and_what_is_gone_is_not_erased_again(scene):
    customer = fresh("pay")
    call = scene.pay(customer).headers["gateway-call"]
    other = pay(scene)
    eventually(lambda: [part for name, part in copies(scene) if name == call] == ["input", "output"])
    # Nothing is configured in the environment, and no file is named: the gateway's own copy of routes.yaml is read.
    bare = (*ERASE, "--resource", f"Account/{customer}", "--reason", "she asked", "--data", str(scene.gateway.data))
    code, said = run(bare, environment())
    assert code == 0 and said == "Erased, of 1 call: 2 copies in the payload store, and what Redis had of 1.\n"
    assert {name for name, _ in copies(scene)} == {other} and payload(scene, call) == set() and payload(scene, other)
    code, said = run(bare, environment())
    assert code == 0 and said == "Nothing is kept of 1 call any more: nothing was erased.\n"
    [fact] = erased(scene)
    assert call in fact and other not in fact


def test_a_call_is_about_whom_the_agent_named_and_whom_a_person_made_of_it(scene):
    asked, now = fresh("pay"), fresh("pay")
    calls = [scene.hold(asked, HELD), scene.hold(asked, HELD + 1)]
    for call in calls:
        told = scene.person("lead").get(f"/approvals/{call}").json()["questions"][0]
        edit = {"decision": "approve", **told, "edit": {"to": now, "amount": 2}}
        assert scene.person("lead").post(f"/approvals/{call}/decision", json=edit).status_code == 200
    eventually(lambda: [scene.state(call) for call in calls] == ["answered"] * 2)
    (listed,) = [each for each in scene.person("auditor").get("/calls").json()["calls"] if each["call"] == calls[0]]
    assert listed["resource"] == f"Account/{now}"
    assert f"now on Account/{now}" in scene.person("auditor").get(f"/calls/{calls[0]}").text
    for resource in (now, asked):
        code, said = erase(scene, "--resource", f"Account/{resource}", "--reason", "asked for")
        assert code == 0 and "2 calls" in said, said
    code, said = erase(scene, "--resource", f"Account/{now}", "--agent", "other", "--reason", "asked for")
    assert code == 1 and said.startswith("Nothing was erased")


def test_the_tree_stays_verifiable_and_holds_that_it_was_done(scene):
    call = pay(scene)
    assert erase(scene, "--call", call, "--reason", "asked for")[0] == 0 and not copies(scene)
    ledger = scene.gateway.data / "ledger"
    eventually(lambda: b'"Erased"' in entries(ledger, "64"))
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "verify", "--ledger", str(ledger)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sealed = entries(ledger, call[:2])
    assert call.encode() in sealed and b'"Recorded"' in sealed


def entries(ledger, log):
    """Everything in a log. A part of a tile may make way for a longer one while it is read."""
    found = b""
    for path in (ledger / log / "tile" / "entries").rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            found += path.read_bytes()
    return found


def test_what_is_not_known_is_not_erased_and_a_reason_is_needed(scene):
    call = pay(scene)
    for option, name in (("user", "nobody"), ("resource", "Account/nobody"), ("agent", "nobody")):
        code, said = erase(scene, f"--{option}", name, "--reason", "x")
        assert code == 1 and said.startswith(f"Nothing was erased: no call of {option} {name!r} is known; names have")
    code, said = run(
        (*ERASE, "--call", call, "--reason", "x", "--data", str(scene.gateway.data), "--routes", "nope.yaml"),
        environment(),
    )
    assert code == 1 and said.startswith("Nothing was erased: nope.yaml: there is no such file")
    code, said = erase(scene, "--call", call[:8], "--reason", "x")
    assert code == 1 and "Nothing was erased: no such call" in said and "give the whole id, of 24 characters" in said
    code, said = erase(scene, "--reason", "x")
    assert code == 1 and "Say whose payloads" in said
    code, said = erase(scene, "--call", call, "--reason", " ")
    assert code == 1 and "Say why" in said
    assert erased(scene) == [] and copies(scene) and payload(scene, call)
