"""Agents as they are in the field: impatient, concurrent, and persistent about getting their order through.

Each order is one intent. An agent sends it under one key several times at once (an SDK's retries racing its
timeouts), or under several keys while it is held (SDKs invent a new key per attempt of a model), or under none; gives
up midway; asks again until it knows. What it was told is kept, to be held against the journal.
"""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.gateway_process import bearer, key_of
from tests.torture.people import Fate
from tests.torture.scene import AGENTS, HELD, NEVER, SMALL
from tests.torture.wire import Message, Torn, ask

FINAL = {
    "outcome-unknown",
    "approval-rejected",
    "approval-expired",
    "policy-denied",
    "answer-not-kept",
    "found-not-done",
}
"""The gateway's own answers after which an agent has no reason to ask again."""
PERSISTENCE_SECONDS = 25.0
"""An agent gives an order up after this long without a final word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer that an agent got about an order."""

    order: str
    agent: str
    tool: str
    key: str
    """Empty: it sent none."""
    call: str
    status: int
    slug: str
    """Of the gateway's own errors; empty if the answer is the system's."""
    body: bytes
    replayed: bool
    at: int
    """Milliseconds since the epoch, when the answer was there."""

    @property
    def acknowledged(self) -> bool:
        return 200 <= self.status < 300

    @property
    def final(self) -> bool:
        return self.acknowledged or self.slug in FINAL


@dataclass
class Crowd:
    url: str
    seed: int
    goes_on: Callable[[], bool]
    """False: no new order is begun."""
    told: list[Told] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)
    """By kind."""
    torn: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What an agent saw that it must never see."""
    fates: dict[str, Fate] = field(default_factory=dict)
    _bound: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def fate(self, order: str) -> Fate:
        return self.fates[order]

    def bound(self, order: str) -> asyncio.Event:
        return self._bound[order]

    async def run(self, number: int) -> None:
        """One agent's working day."""
        dice = random.Random(f"{self.seed} agent {number}")
        agent, count = AGENTS[number % len(AGENTS)], 0
        kinds = {"pay": 30, "refund": 22, "keyless": 14, "held pay": 14, "held refund": 8, "never": 4, "read": 8}
        while self.goes_on():
            count += 1
            [kind] = dice.choices([*kinds], [*kinds.values()])
            self.orders[kind] += 1
            # Keys are short and scoped to an agent, so different agents often use the same one.
            await Order(
                self, dice, agent, kind, f"{kind.replace(' ', '-')}-{number}-{count}", f"k{number // 4}-{count}"
            ).run()


@dataclass
class Order:
    """One intent of one agent."""

    crowd: Crowd
    dice: random.Random
    agent: str
    kind: str
    name: str
    key: str

    @property
    def tool(self) -> str:
        return "refund" if "refund" in self.kind else "pay"

    async def run(self) -> None:
        if self.kind == "read":
            await self._read()
        elif self.kind.startswith("held"):
            await self._held()
        else:
            await self._plain()

    async def _plain(self) -> None:
        amount = NEVER if self.kind == "never" else SMALL
        key = "" if self.kind == "keyless" else self.key
        async with asyncio.TaskGroup() as group:
            for _ in range(self.dice.choice([1, 2, 2, 3, 5])):
                group.create_task(self._persist(key, amount, give_up=self.dice.random() < 0.15))

    async def _held(self) -> None:
        fates: tuple[Fate, ...] = ("approve", "reject", "ignore")
        [self.crowd.fates[self.name]] = self.dice.choices(fates, [80, 12, 8])
        keys = [f"{self.key}-{attempt}" for attempt in range(self.dice.choice([1, 2, 3]))]
        await asyncio.gather(*(self._bind(key) for key in keys))
        self.crowd.bound(self.name).set()
        async with asyncio.TaskGroup() as group:
            for key in keys * self.dice.choice([1, 2]):
                group.create_task(self._persist(key, HELD))

    async def _bind(self, key: str) -> None:
        """Ask until the gateway has heard of this order under this key."""
        while True:
            told = await self.once(key, HELD, patience=3.0, more={"prefer": "wait=0"})
            if told is not None and (told.slug == "approval-pending" or told.final):
                return
            await asyncio.sleep(0.1)

    async def _persist(self, key: str, amount: int, *, give_up: bool = False) -> None:
        """Ask until there is a final word; then, often, ask for it once more."""
        end = time.monotonic() + PERSISTENCE_SECONDS
        while time.monotonic() < end:
            patience = self.dice.choice([0.15, 0.5, 1.0, 4.0, 8.0])
            told = await self.once(key, amount, patience=patience)
            if told is not None and told.final:
                if told.acknowledged and self.dice.random() < 0.5:
                    await self.again(told, amount)
                return
            if give_up:
                return
            await asyncio.sleep(self.dice.uniform(0.02, 0.4))

    async def again(self, first: Told, amount: int) -> None:
        """The same key again: the same bytes, marked as a replay."""
        for _ in range(40):
            told = await self.once(first.key, amount, patience=8.0)
            if told is not None and told.status != 503 and told.slug not in ("call-in-progress", "journal-unavailable"):
                same = told.call == first.call and told.body == first.body and told.status == first.status
                if not (same and told.replayed):
                    self.crowd.wrong.append(f"a replay differs: first {first}, then {told}")
                return
            await asyncio.sleep(0.2)

    async def once(self, key: str, amount: int, *, patience: float, more: dict[str, str] | None = None) -> Told | None:
        headers = {**bearer(key_of(self.agent)), "content-type": "application/json", **(more or {})}
        if key:
            headers["idempotency-key"] = key
        body = json.dumps({"order": self.name, "amount": amount}).encode()
        try:
            answer = await ask(self.crowd.url, "POST", f"/bank/{self.tool}", headers, body, patience=patience)
        except Torn as torn:
            self.crowd.torn[str(torn).partition(":")[0]] += 1
            return None
        told = _told(self, key, answer)
        self.crowd.told.append(told)
        return told

    async def _read(self) -> None:
        try:
            answer = await ask(
                self.crowd.url, "GET", f"/bank/items/{self.name}", bearer(key_of(self.agent)), patience=5.0
            )
        except Torn:
            return
        if answer.status == 200 and json.loads(answer.body)["item"] != f"/items/{self.name}":
            self.crowd.wrong.append(f"the read {self.name} got another answer: {answer.body!r}")


def _told(order: Order, key: str, answer: Message) -> Told:
    slug, call = "", answer.headers.get("gateway-call", "")
    document = json.loads(answer.body) if answer.body.startswith(b"{") else {}
    if isinstance(kind := document.get("type"), str) and kind.startswith("urn:gateway:"):
        slug, call = kind.removeprefix("urn:gateway:"), call or document.get("call") or ""
    return Told(
        order=order.name, agent=order.agent, tool=order.tool, key=key, call=call, status=answer.status, slug=slug,
        body=answer.body, replayed=answer.headers.get("idempotent-replayed") == "true",
        at=time.time_ns() // 1_000_000,
    )  # fmt: skip
