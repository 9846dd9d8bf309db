"""Every promise of `gateway.ledger.store.Store`, kept for a shared directory and for a real S3 API."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gateway.adapters import store as stores
from gateway.adapters.store import open_store
from gateway.core.ledger_settings import Bucket, SharedDirectory
from gateway.core.secret_reference import SecretReference
from gateway.ledger.files import LogFiles
from gateway.ledger.note import open_checkpoint
from gateway.ledger.store import StoreUnavailable
from gateway.ports import SecretMissing
from tests.ledger.frail import FrailDisk
from tests.ledger.sealing_world import World as SealingWorld
from tests.processes import refused_port

ACCESS, SECRET = SecretReference("env", "ACCESS"), SecretReference("env", "SECRET")
TILE = "07/tile/0/000.p/17"


def read(reference: SecretReference) -> str:
    return f"the value of {reference.name}"


@pytest.fixture(scope="module")
def s3():
    """Where a server is that speaks the API of S3, with one bucket in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="acme")
    yield url
    server.stop()


def bucket(url: str, **more: str) -> Bucket:
    return Bucket(
        **{"name": "acme", "prefix": "gateway/ledger", **more}, endpoint=url, access_key=ACCESS, secret_key=SECRET
    )


@pytest.fixture(params=["directory", "s3"])
def store(request, tmp_path):
    if request.param == "directory":
        return open_store(SharedDirectory(path=str(tmp_path)), read)
    url = request.getfixturevalue("s3")
    return open_store(bucket(url, prefix=f"ledger/{tmp_path.name}"), read)


def test_what_was_put_is_there_for_everybody(store):
    store.put(TILE, b"abc")
    assert store.get(TILE) == b"abc"
    store.put(TILE, bytes(range(256)) * 300)
    assert store.get(TILE) == bytes(range(256)) * 300
    store.put("07/checkpoint", b"")
    assert store.get("07/checkpoint") == b""


def test_what_is_not_there_is_none(store):
    assert store.get(TILE) is None
    store.put(TILE, b"abc")
    assert store.get("07/tile/0/000.p/18") is None
    assert store.get("07/tile/0/000") is None


def test_the_files_below_a_folder(store):
    assert list(store.list("07")) == []
    for path in (TILE, "07/tile/entries/000.p/17", "07/checkpoint", "070/checkpoint", "08/checkpoint"):
        store.put(path, b"x")
    assert sorted(store.list("07")) == ["07/checkpoint", TILE, "07/tile/entries/000.p/17"]
    assert sorted(store.list("07/tile/entries")) == ["07/tile/entries/000.p/17"]


def test_deleting_twice_is_deleting_once(store):
    store.put(TILE, b"abc")
    store.delete(TILE)
    store.delete(TILE)
    assert store.get(TILE) is None and list(store.list("07")) == []


def test_many_threads_at_once(store):
    paths = [f"07/tile/0/x{number // 10:03d}/{number % 10:03d}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: store.put(path, path.encode()), paths))
        assert list(pool.map(store.get, paths)) == [path.encode() for path in paths]
        list(pool.map(lambda number: store.put("07/checkpoint", b"%d" % number), range(20)))
    assert store.get("07/checkpoint").isdigit()


# --- A directory ------------------------------------------------------------------------------------------------------


def test_a_file_is_synced_before_it_has_its_name_and_its_folders_after(tmp_path, monkeypatch):
    did = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: did.append(f"fsync {_path_of(descriptor, tmp_path)}"))
    real = Path.replace

    def replace(self, target):
        did.append(f"rename to {target.relative_to(tmp_path)}")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    open_store(SharedDirectory(path=str(tmp_path)), read).put("07/tile/0/000", b"abc")
    draft = did[4]
    assert draft.startswith("fsync drafts/")
    assert did == [
        "fsync .",
        "fsync .",
        "fsync 07",
        "fsync 07/tile",
        draft,
        "rename to 07/tile/0/000",
        "fsync 07/tile/0",
    ]


def _path_of(descriptor, root):
    return Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root)


@pytest.mark.parametrize(
    "act", [lambda it: it.get(TILE), lambda it: it.put(TILE, b""), lambda it: it.list("07"), lambda it: it.delete(TILE)]
)
def test_a_directory_that_is_not_mounted_is_not_an_empty_one(act, tmp_path):
    store = open_store(SharedDirectory(path=str(tmp_path / "mnt" / "ledger")), read)
    with pytest.raises(StoreUnavailable, match=r"there is no directory '.*/mnt/ledger': mount it, or make it"):
        act(store)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_says_why(tmp_path):
    (tmp_path / "07").write_text("in the way", encoding="ascii")
    store = open_store(SharedDirectory(path=str(tmp_path)), read)
    with pytest.raises(StoreUnavailable, match=r"cannot be written \(.*\)"):
        store.put(TILE, b"abc")
    with pytest.raises(StoreUnavailable, match=r"cannot be read \(not a directory\)"):
        store.get(TILE)


# --- A bucket ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [lambda it: it.get(TILE), lambda it: it.put(TILE, b""), lambda it: it.list("07")])
def test_a_bucket_that_does_not_exist_is_not_an_empty_one(act, s3):
    store = open_store(bucket(s3, name="acne"), read)
    with pytest.raises(StoreUnavailable) as raised:
        act(store)
    assert str(raised.value) == f"there is no bucket 'acne' at {s3}: make it, or correct `ledger.store`"


def test_a_bucket_without_a_prefix(s3):
    store = open_store(bucket(s3, prefix=""), read)
    store.put("09/checkpoint", b"abc")
    assert list(store.list("09")) == ["09/checkpoint"]


class Bad(BaseHTTPRequestHandler):
    """Answers everything with what the test says, and remembers how it was asked."""

    answer: ClassVar[tuple[int, bytes]] = (500, b"")
    asked: ClassVar[list[dict[str, str]]] = []
    over: ClassVar[threading.Event] = threading.Event()

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def do_GET(self):
        Bad.asked.append(dict(self.headers.items()))
        status, body = Bad.answer
        if status == 0:
            Bad.over.wait(60)
            return
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if status == 200:
            self.send_header("etag", '"1"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def bad():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bad)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Bad.asked.clear()
    Bad.over.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    Bad.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


DENIED = b"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIA123</AWSAccessKeyId></Error>"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((503, b""), "bucket 'acme' at {} answered 503"),
        ((403, DENIED), "bucket 'acme' at {} answered 403 InvalidAccessKeyId"),
        ((404, b"<html>no such page</html>"), "bucket 'acme' at {} answered 404"),
        ((302, b""), "bucket 'acme' at {} is elsewhere: correct its region or endpoint in `ledger.store`"),
    ],
)
@pytest.mark.parametrize("act", [lambda it: it.get(TILE), lambda it: it.put(TILE, b"abc")])
def test_a_store_that_fails_says_what_it_answered_and_no_more(act, answer, said, bad):
    Bad.answer = answer
    with pytest.raises(StoreUnavailable) as raised:
        act(open_store(bucket(bad), read))
    assert str(raised.value) == said.format(bad)
    assert len(Bad.asked) == 1, "whoever seals tries again; nobody else does"


def test_no_key_is_shown(s3):
    store = open_store(bucket(s3), read)
    store.put(TILE, b"abc")
    assert "the value of" not in repr(store)


def test_an_answer_that_is_none_is_said(bad):
    Bad.answer = (204, b"")
    with pytest.raises(StoreUnavailable, match=r"gave an answer that is not of S3$"):
        open_store(bucket(bad), read).put(TILE, b"abc")


def test_a_store_that_stalls_is_given_up(bad, monkeypatch):
    Bad.answer = (0, b"")
    monkeypatch.setattr(stores, "TIMEOUT", "300ms")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        open_store(bucket(bad), read).put(TILE, b"abc")
    assert time.monotonic() - began < 30


def test_a_store_that_is_away_cannot_be_reached():
    url = f"http://127.0.0.1:{refused_port()}"
    with pytest.raises(StoreUnavailable) as raised:
        open_store(bucket(url), read).get(TILE)
    assert str(raised.value) == f"bucket 'acme' at {url} cannot be reached"


def test_keys_are_read_at_each_use(bad):
    keys = {"ACCESS": "one", "SECRET": "x"}

    def rotating(reference):
        if reference.name not in keys:
            raise SecretMissing(f"set {reference.name}")
        return keys[reference.name]

    Bad.answer = (200, b"")
    store = open_store(bucket(bad), rotating)
    store.put(TILE, b"abc")
    del keys["SECRET"]
    with pytest.raises(StoreUnavailable, match="set SECRET"):
        store.put(TILE, b"abc")
    keys |= {"ACCESS": "two", "SECRET": "y"}
    store.put(TILE, b"abc")
    assert ["Credential=one/" in asked["authorization"] for asked in Bad.asked] == [True, False]
    assert "Credential=two/" in Bad.asked[1]["authorization"]


def test_a_session_of_the_environment_is_not_mixed_with_our_keys(bad, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of somebody else")
    Bad.answer = (200, b"")
    open_store(bucket(bad), read).put(TILE, b"abc")
    (asked,) = Bad.asked
    assert "x-amz-security-token" not in {name.lower() for name in asked}
    assert "the value of ACCESS" in asked["authorization"]
    assert "the value of SECRET" not in str(asked)


def test_a_process_that_used_a_bucket_ends_quietly(s3):
    code = f"""
from gateway.adapters.store import open_store
from gateway.core.ledger_settings import Bucket
from gateway.core.secret_reference import SecretReference
it = open_store(Bucket(name="acme", endpoint="{s3}", access_key=SecretReference("env", "A"),
                       secret_key=SecretReference("env", "A")), lambda reference: "x")
it.put("10/checkpoint", b"abc")
assert it.get("10/checkpoint") == b"abc"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- A log that another host goes on with -----------------------------------------------------------------------------


def test_another_host_copies_the_whole_log_from_the_store_and_verifies_it(store, tmp_path):
    world = SealingWorld(tmp_path / "one")
    world.store = store
    world.happens("07", 600, facts=2)
    world.happens("64", 1)
    asyncio.run(world.steward().round())
    (tmp_path / "two").mkdir()
    elsewhere = FrailDisk(tmp_path / "two" / "ledger", world.fate)
    world.now += 60.0  # the first host is dead
    other = world.steward("there", elsewhere)
    world.happens("07", 3)
    assert asyncio.run(other.round()) == 3 and other.problem == ""
    found = LogFiles.open(elsewhere.root, "07")
    assert list(found.leaves()) == world.expected("07") and found.size == 1203
    assert found.checkpoint() == LogFiles.open(elsewhere.root, "07").checkpoint()
    assert open_checkpoint(found.note() or b"", world.signer.verifier.of("07")).root == found.tree().root


def test_a_store_that_holds_another_log_is_not_believed(store, tmp_path):
    world = SealingWorld(tmp_path / "one")
    world.store = store
    world.happens("07", 3)
    asyncio.run(world.steward().round())
    [bundle] = list(store.list("07/tile/entries"))
    store.put(bundle, store.get(bundle).replace(b"Expired", b"Exposed"))
    world.now += 60.0
    (tmp_path / "two").mkdir()
    other = world.steward("there", FrailDisk(tmp_path / "two" / "ledger", world.fate))
    assert asyncio.run(other.round()) == 0
    assert "07" in other.problem and not other.holds
    assert LogFiles(tmp_path / "two" / "ledger" / "07").note() is None, "nothing was signed"
