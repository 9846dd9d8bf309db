"""Traces from real processes: the steward is killed at random moments while it exports, and the collector is as bad."""

import os
import random
import time
from functools import partial

from gateway.adapters.embedded import embedded_url
from tests.adapters.otlp.receiver import YES, Receiver, receiving
from tests.gateway_process import eventually
from tests.gateway_world import world
from tests.spans_of_journal import spans_of_journal
from tests.test_sealing import load

KILLS = int(os.environ.get("EXPORTING_KILLS", "3"))


class Whimsical(Receiver):
    """Keeps spans by id, and does not always say so."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice, self.well = dice, False
        self.kept: dict[str, set[bytes]] = {}
        self.judge = self.whim

    def whim(self, spans):
        mood = "well" if self.well else self.dice.choice(["well", "well", "well", "dies", "breaks", "busy", "slow"])
        if mood != "busy":
            for span in spans:
                self.kept.setdefault(span.span_id.hex(), set()).add(span.SerializeToString())
        if mood == "slow":
            time.sleep(0.3)
        return {"dies": None, "breaks": (503, {}, b""), "busy": (429, {"retry-after": "1"}, b"")}.get(mood, YES)


def more_than(receiver, seen):
    return len(receiver.requests) > seen


def test_a_steward_that_is_killed_while_it_exports_loses_no_span_and_changes_none():
    dice = random.Random(seed := random.SystemRandom().randrange(10**6))
    print(f"seed {seed}")
    with receiving(Whimsical(dice)) as receiver:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        }  # fmt: skip
        with world(settings=settings) as scene:
            with load(scene) as told:
                for _ in range(KILLS):
                    seen = len(receiver.requests)
                    eventually(partial(more_than, receiver, seen))
                    time.sleep(dice.random() * 0.3)
                    scene.gateway.kill("steward")
                eventually(lambda: told.count(200) > 20)
            receiver.well = True

            def expected():
                url, routes = embedded_url(scene.gateway.data), scene.gateway.folder / "routes.yaml"
                return {span.span_id: span for span in spans_of_journal(url, routes, scene.secrets)}

            eventually(lambda: set(receiver.kept) == set(expected()))
            assert all(len(versions) == 1 for versions in receiver.kept.values()), "the same id is the same span"
