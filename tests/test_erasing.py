"""`gateway audit erase`, at a gateway that runs: copies and payloads are gone, the facts stay, and it is on record."""

import subprocess
import sys

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


def erase(scene, *words):
    place = scene.gateway.folder
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "erase", *words, "--routes", str(place / "routes.yaml"),
         "--data", str(scene.gateway.data)],
        env=environment(**scene.secrets), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
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
    assert code == 0 and "payloads of 2 calls" in said and "1 of the calls are not over" in said
    assert {name for name, _ in copies(scene)} == {others}
    assert payload(scene, mine) == set() and payload(scene, held) == {b"request", b"salt"}
    [fact] = erased(scene)
    assert mine in fact and held in fact and '"by":"dpo"' in fact and "the contract ended" in fact
    assert scene.timeline(mine) == before and "Recorded" in before
    assert scene.approvers.approve(held).status_code == 200, "what is open goes on"
    eventually(lambda: scene.state(held) == "answered")
    code, said = erase(scene, "--call", others, "--reason", "asked for")
    assert code == 0 and "payloads of 1 call, 2 of them copies" in said
    assert not [name for name, _ in copies(scene) if name == others]


def test_the_tree_stays_verifiable_and_holds_that_it_was_done(scene):
    call = pay(scene)
    assert erase(scene, "--call", call, "--reason", "asked for")[0] == 0 and not copies(scene)
    ledger = scene.gateway.data / "ledger"
    eventually(lambda: b'"Erased"' in b"".join(path.read_bytes() for path in ledger.glob("64/tile/entries/**/*.p/*")))
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "verify", "--ledger", str(ledger)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sealed = b"".join(path.read_bytes() for path in ledger.glob(f"{call[:2]}/tile/entries/**/*") if path.is_file())
    assert call.encode() in sealed and b'"Recorded"' in sealed


def test_what_is_not_known_is_not_erased_and_a_reason_is_needed(scene):
    call = pay(scene)
    assert erase(scene, "--user", "nobody", "--reason", "x") == (
        0,
        "There is nothing to erase: no such call is known.\n",
    )
    code, said = erase(scene, "--call", call[:8], "--reason", "x")
    assert code == 1 and "Nothing was erased: no call" in said and "give the whole id, of 24 characters" in said
    code, said = erase(scene, "--reason", "x")
    assert code == 1 and "Say whose payloads" in said
    code, said = erase(scene, "--call", call, "--reason", " ")
    assert code == 1 and "Say why" in said
    assert erased(scene) == [] and copies(scene) and payload(scene, call)
