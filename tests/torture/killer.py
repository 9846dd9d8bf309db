"""SIGKILL, and now and then a freeze, for a process of the gateway that dice have chosen."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.gateway_process import Gateway

VICTIMS = {"worker": 5, "steward": 3, "valkey": 4}


@dataclass
class Killer:
    gateway: Gateway
    seed: int
    pause: tuple[float, float]
    """Seconds between two blows."""
    blows: Counter[str] = field(default_factory=Counter)

    async def run(self, goes_on: Callable[[], bool]) -> None:
        dice = random.Random(f"{self.seed} killer")
        spared = dice.sample([*VICTIMS], len(VICTIMS))
        """Who was not killed yet: they come first, so that no torture ends without one of each."""
        while goes_on():
            await asyncio.sleep(dice.uniform(*self.pause))
            [kind] = spared[:1] or dice.choices([*VICTIMS], [*VICTIMS.values()])
            pids = self.gateway.pids(kind)
            if not pids:
                continue  # it is being started again just now
            pid = dice.choice(pids)
            if not spared and dice.random() < 0.2:
                await self._freeze(kind, pid, dice.uniform(0.1, 1.5))
            else:
                spared = spared[1:]
                self.blows[f"kill {kind}"] += 1
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def _freeze(self, kind: str, pid: int, seconds: float) -> None:
        """As a host that is swapping, or a machine that is being moved."""
        self.blows[f"freeze {kind}"] += 1
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
