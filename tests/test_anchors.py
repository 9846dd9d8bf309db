"""Anchors get every checkpoint that changed, as often as they may, until they took it; and nobody waits for them."""

import asyncio
import json
import os

import pytest

from gateway.adapters.webhook_sender import WebhookSender
from gateway.anchors import Anchors
from gateway.core.ledger_settings import AnchorFile, AnchorWebhook
from gateway.core.secret_reference import SecretReference
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.old_checkpoints import old_checkpoints
from gateway.ports import Delivery, SecretMissing
from gateway.wire.webhook import sign, verify
from tests.adapters.test_webhook_sender import SECRET, receiving

SIGNER = Signer.new("gateway.example/audit")
HOOK = AnchorWebhook(url="http://127.0.0.1:1/", secret=SecretReference("env", "ANCHOR"), every_seconds=60.0)


class World:
    def __init__(self, tmp_path, *anchors) -> None:
        self.ledger, self.anchors, self.now, self.holds = tmp_path / "ledger", list(anchors), 0.0, True
        self.posted: list[tuple[str, bytes]] = []
        self.answer = Delivery(status=200, done=True, error="")
        self.secret = SECRET
        self.knows: bool | None = True
        self.it = Anchors(
            self.ledger, lambda: self.anchors, self.read, self.post, lambda: self.holds, lambda path: self.knows,
            lambda: self.now, lambda: 1e9,
        )  # fmt: skip

    def read(self, reference) -> str:
        if not self.secret:
            raise SecretMissing("set ANCHOR")
        return self.secret

    async def post(self, url, secret, name, body, now) -> Delivery:
        self.posted.append((name, body))
        return self.answer

    def seals(self, size: int, log: str = "07") -> str:
        note = sign_checkpoint(SIGNER.of(log), size, bytes([size]) * 32)
        (self.ledger / log).mkdir(parents=True, exist_ok=True)
        (self.ledger / log / "checkpoint").write_text(note, encoding="utf-8")
        return note

    def round(self, seconds: float = 0.0) -> None:
        self.now += seconds
        asyncio.run(self.it.round())


def test_a_file_gets_every_checkpoint_that_changed_and_an_auditor_can_use_it(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    world = World(tmp_path, AnchorFile(path=str(tmp_path / "kept"), every_seconds=60.0))
    one, other = world.seals(3), world.seals(1, "64")
    world.round()
    assert len(synced) == 1
    assert (tmp_path / "kept").read_text(encoding="utf-8") == f"{one}\n{other}\n"
    world.seals(4)
    world.round(59)
    world.seals(5)
    world.round(1)
    world.round(600)
    olds = old_checkpoints([tmp_path / "kept"], SIGNER.verifier)
    assert {log: [old.size for old in found] for log, found in olds.items()} == {"07": [3, 5], "64": [1]}


def test_a_file_gets_nothing_before_what_it_has_was_held_against_the_log(tmp_path, caplog):
    """Or what was signed since a restore would cover the evidence of that."""
    path = tmp_path / "kept"
    world = World(tmp_path, AnchorFile(path=str(path)), HOOK)
    world.seals(3)
    world.knows = None
    world.round()
    assert len(world.posted) == 1 and not path.exists() and world.it.lag == 0.0 and caplog.text == ""
    world.knows = False
    world.round(1)
    world.round(1)
    assert not path.exists() and world.it.lag == 1.0 and "what it has must be known" in caplog.text
    world.knows = True
    world.round(60)
    assert path.exists() and world.it.lag == 0.0


def test_a_file_that_takes_only_a_part_is_as_it_was(tmp_path, monkeypatch):
    world = World(tmp_path, AnchorFile(path=str(tmp_path / "kept")))
    (tmp_path / "kept").write_text("before\n", encoding="ascii")
    world.seals(3)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
    world.round()
    assert (tmp_path / "kept").read_text(encoding="ascii") == "before\n" and world.it.lag == 0.0
    world.round(1)
    assert world.it.lag == 1.0
    monkeypatch.undo()
    world.round(10)
    assert (tmp_path / "kept").stat().st_size > 100 and world.it.lag == 0.0


def test_a_webhook_gets_the_newest_checkpoints_until_it_takes_them(tmp_path, caplog):
    world = World(tmp_path, HOOK)
    world.seals(3)
    world.answer = Delivery(status=503, done=False, error="the receiver answered 503")
    world.round()
    world.round(1)
    assert len(world.posted) == 1, "it is not asked again at once"
    world.round(1)
    assert [name for name, _ in world.posted] == [world.posted[0][0]] * 2, "the same message has the same id"
    newest = world.seals(9)
    assert "the receiver answered 503" in caplog.text and world.it.lag == 2.0
    world.answer = Delivery(status=200, done=True, error="")
    world.round(3600)
    world.round(3600)
    assert len(world.posted) == 3 and world.it.lag == 0.0
    assert (
        repr(newest)[1:20] in world.posted[-1][1].decode()
        and b'"origin":"gateway.example/audit"' in world.posted[-1][1]
    )


def test_pauses_grow_but_not_for_ever(tmp_path):
    world = World(tmp_path, HOOK)
    world.seals(3)
    world.answer = Delivery(status=0, done=False, error="away")
    for _ in range(3 * 3600):
        world.round(1)
    assert 3 * 3600 / 300 <= len(world.posted) <= 3 * 3600 / 300 + 10


def test_a_missing_secret_is_a_lag_and_no_more(tmp_path, caplog):
    world = World(tmp_path, HOOK, AnchorFile(path=str(tmp_path / "kept")))
    world.seals(3)
    world.secret = ""
    world.round()
    assert "the secret of the webhook is missing: set ANCHOR" in caplog.text and (tmp_path / "kept").exists()


def test_only_whoever_seals_anchors_and_what_routes_yaml_says_now(tmp_path):
    world = World(tmp_path, HOOK)
    world.seals(3)
    world.holds = False
    world.round()
    assert world.posted == []
    world.holds = True
    world.anchors.clear()
    world.round()
    assert world.posted == [] and world.it.lag == 0.0


def test_a_checkpoint_that_cannot_be_read_is_not_passed_on(tmp_path):
    world = World(tmp_path, AnchorFile(path=str(tmp_path / "kept")))
    note = world.seals(3)
    world.seals(4, "08")
    (world.ledger / "08" / "checkpoint").write_text("damaged", encoding="ascii")
    world.round()
    assert (tmp_path / "kept").read_text(encoding="utf-8") == f"{note}\n"


def test_a_real_receiver_can_verify_who_it_comes_from(tmp_path):
    async def story() -> None:
        async with receiving() as receiver, WebhookSender(sign) as sender:
            world = World(tmp_path, AnchorWebhook(url=receiver.url, secret=SecretReference("env", "ANCHOR")))
            world.it.post = sender.deliver
            note = world.seals(3)
            await world.it.round()
            [(line, headers, body)] = receiver.requests
            assert line.startswith("POST ") and verify(headers, body, [SECRET], 1_000_000_000)
            assert json.loads(body)["data"]["checkpoints"] == [note]

    asyncio.run(story())


def test_one_that_stalls_keeps_no_other_waiting(tmp_path):
    async def story() -> None:
        world = World(tmp_path, HOOK, AnchorFile(path=str(tmp_path / "kept")))
        world.seals(3)

        async def stalls(*_) -> Delivery:
            await asyncio.sleep(60)
            raise AssertionError

        world.it.post = stalls
        round_ = asyncio.ensure_future(world.it.round())
        async with asyncio.timeout(60):
            while not (tmp_path / "kept").exists():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        round_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await round_

    asyncio.run(story())
