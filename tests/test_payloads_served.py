"""Payload at rest, through a real gateway: keys that are made, rotated, lost, and not the deployment's."""

import base64
import subprocess
from pathlib import Path

import httpx
import pytest
import redis

from gateway.adapters.embedded import embedded_url
from gateway.adapters.payload_cipher import key_id
from gateway.payload_keys import FILE, read_keys
from tests.gateway_process import ROOT, command, environment, eventually, write_configuration
from tests.gateway_world import HELD, POLICIES, world
from tests.scripted_upstream import fresh

NEW = base64.b64encode(b"n" * 32).decode()


@pytest.fixture(scope="module")
def scene():
    """A gateway whose keys stay as they are."""
    with world() as made:
        yield made


@pytest.fixture
def rotating():
    """One whose keys a test changes."""
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def ended():
    """One that ran once."""
    with world() as made:
        made.gateway.restart()  # with its own keys it does
        made.gateway.end()
        yield made


def everything(scene):
    """All that the server holds, as bytes. A key that ends between its name and its value (a lease) holds nothing."""
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as client:
        return b"\n".join(name + b" " + (client.dump(name) or b"") for name in client.scan_iter(count=1000))


def rotated(scene, *keys):
    scene.gateway.restart(lambda: (scene.gateway.data / FILE).write_text("\n".join(keys) + "\n"))


def asked(scene, to):
    """A held call of which people have heard: a stop in between would hide the notice for its lease."""
    call = scene.hold(to)
    scene.approvers.notice(call)
    return call


def test_keys_are_made_at_the_first_start_and_a_held_call_outlives_their_rotation(rotating):
    scene = rotating
    path = scene.gateway.data / FILE
    old = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    before, between, after = fresh("pay"), fresh("pay"), fresh("pay")
    held = [asked(scene, before)]
    assert before.encode() not in everything(scene).replace(b"Account/" + before.encode(), b"")
    rotated(scene, old, NEW)  # every host can read what the new key will encrypt
    held.append(asked(scene, between))
    rotated(scene, NEW, old)  # and now it encrypts
    held.append(asked(scene, after))
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as client:
        used = [client.hget(f"{{{call[:2]}}}:payload:{call}", "request")[1:5].hex() for call in held]
    first, second = key_id(read_keys(old, path)[0]), key_id(b"n" * 32)
    assert used == [first, first, second]
    for call, to in zip(held, (before, between, after), strict=True):
        assert scene.approvers.approve(call).status_code == 200
        assert scene.status(call)["status"] == "answered"
        assert len(scene.upstream.seen(to)) == 1


def test_once_it_is_over_nothing_of_a_held_request_is_left_anywhere(scene):
    """Neither of what the agent sent, nor of what somebody made of it: not in a key, not in the rewritten file."""
    to, other = fresh("note"), fresh("note")
    first = scene.agent().post(
        "/bank/payments", json={"to": to, "amount": HELD, "note": to}, headers={"prefer": "wait=0"}
    )
    call = first.json()["call"]
    place = f"{{{call[:2]}}}:payload:{call}"
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as client:
        bytes_of_it = [client.hget(place, "request")]
        notice = scene.approvers.notice(call)
        edited = scene.approvers.decision(notice, edit={"note": other})
        assert scene.approvers.post(notice, edited).status_code == 200
        eventually(lambda: scene.state(call) == "answered")
        assert set(client.hkeys(place)) == {b"request", b"original", b"salt", b"answer"}
        bytes_of_it += client.hmget(place, "request", "original")
        again = {"to": to, "amount": HELD, "note": to}
        assert scene.agent().post("/bank/payments", json=again).status_code == 200  # and so it is handed over
        eventually(lambda: set(client.hkeys(place)) == {b"salt", b"answer"}, "it is kept though nothing is owed")
        client.bgrewriteaof()
        rewriting = ("aof_rewrite_scheduled", "aof_rewrite_in_progress")
        eventually(lambda: not any(client.info("persistence")[name] for name in rewriting))
        files = b"".join(path.read_bytes() for path in scene.gateway.data.glob("**/appendonlydir/*"))
        assert call.encode() in files
        left = everything(scene) + files
    assert not any(value in left for value in bytes_of_it)
    assert to.encode() not in left.replace(b"Account/" + to.encode(), b"") and other.encode() not in left


def test_a_held_call_whose_key_is_gone_is_denied_with_a_sentence_that_names_the_key(rotating):
    scene = rotating
    old = read_keys("", scene.gateway.data / FILE)[0]
    to = fresh("pay")
    call = asked(scene, to)
    rotated(scene, NEW, (scene.gateway.data / FILE).read_text().strip())
    rotated(scene, NEW)  # too early: a call that the old key encrypted still waits
    eventually(lambda: f"encrypted with {key_id(old)} can no longer be read here" in scene.gateway.log)
    shown = scene.person("auditor").get(f"/approvals/{call}").json()
    assert shown["input"] is None and key_id(old) in shown["summary"]
    scene.approvers.approve(call)
    eventually(lambda: scene.state(call) == "denied")
    assert not scene.upstream.seen(to)
    assert key_id(old) in " ".join(scene.status(call)["reasons"])
    assert scene.pay(fresh("pay"), 10).status_code == 200 and scene.gateway.pids("steward")


def test_a_held_call_that_was_tampered_with_is_denied_and_the_steward_lives(scene):
    to = fresh("pay")
    call = scene.hold(to)
    scene.approvers.notice(call)
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as client:
        place = f"{{{call[:2]}}}:payload:{call}"
        kept = client.hget(place, "request")
        client.hset(place, "request", kept[:-1] + bytes([kept[-1] ^ 1]))
    before = scene.gateway.pids("steward")
    scene.approvers.approve(call)
    eventually(lambda: scene.state(call) == "denied")
    assert not scene.upstream.seen(to) and "was changed" in " ".join(scene.status(call)["reasons"])
    assert scene.gateway.pids("steward") == before


def test_a_host_with_other_keys_does_not_start(ended):
    (ended.gateway.data / FILE).write_text(NEW + "\n")
    said = refused(ended.gateway.folder, ended.gateway.environment)
    assert "this deployment encrypts payloads with the key" in said and key_id(b"n" * 32) in said
    assert 'see "Payload keys" in docs/operations.md' in said and "Traceback" not in said


@pytest.mark.parametrize(("text", "expected"), [("nonsense\n", "Key 1 in "), ("", "There is no payload key in ")])
def test_a_garbled_key_file_is_one_sentence_before_anything_starts_and_check_finds_it(ended, text, expected):
    (ended.gateway.data / FILE).write_text(text)
    said = refused(ended.gateway.folder, ended.gateway.environment)
    assert expected in said and "1 mistake; nothing was started." in said
    assert (ended.gateway.data / FILE).read_text() == text
    found = subprocess.run(
        [argument if argument != "serve" else "check" for argument in command(ended.gateway.folder, 1)[:-2]],
        env=ended.gateway.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.returncode == 1 and expected in found.stderr


def test_a_file_of_keys_that_is_not_there_is_a_mistake_of_the_setting(tmp_path):
    write_configuration(tmp_path, {"version": 1}, POLICIES)
    said = refused(tmp_path, environment(GATEWAY_PAYLOAD_KEYS_FILE=str(tmp_path / "keys")))
    assert "GATEWAY_PAYLOAD_KEYS_FILE is " in said and "a file that exists" in said


def test_whoever_opens_a_question_is_written_down_and_nobody_else(scene):
    to = fresh("pay")
    call = scene.hold(to)
    scene.approvers.notice(call)
    eventually(lambda: "Notified" in scene.timeline(call))
    before = scene.timeline(call)
    place = f"/approvals/{call}"
    assert scene.person("auditor").head(place).status_code == 200
    assert scene.person("auditor").get("/approvals").json()["approvals"]
    assert httpx.get(f"{scene.gateway.control}{place}", trust_env=False, timeout=60).status_code == 401
    assert scene.timeline(call) == before, "none of these showed anything of it"
    for name in ("auditor", "lead", "lead"):
        assert scene.person(name).get(place).json()["input"]["to"] == to
    assert scene.timeline(call) == [*before, "Viewed", "Viewed"]
    told = scene.person("auditor").get(f"/calls/{call}").json()["timeline"][-2:]
    assert all(name in str(item) for name, item in zip(("auditor", "lead"), told, strict=True))


def refused(folder: Path, settings) -> str:
    """What a gateway said that did not start."""
    done = subprocess.run(
        command(folder, 1), env=dict(settings), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr
