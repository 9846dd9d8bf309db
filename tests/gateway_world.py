"""One gateway with everything around it: a scripted system of record, approvers, agents, people.

    with world() as scene:
        answer = scene.pay(fresh("pay"), 5000)          # held: above 10.00 finance has to say yes
        scene.approvers.approve(answer.json()["call"])

`bank` is the system that most tests talk to; the others differ from it in one thing each. All of them but `gone` and
`nowhere` are the same scripted upstream, below different base paths.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from gateway.core.call import partition_of
from tests.approver_service import Approvers, approvers
from tests.gateway_process import Gateway, bearer, digest, key_of, serving, token_of
from tests.processes import refused_port
from tests.scripted_upstream import ScriptedUpstream

SECRET = "sk_live_bank_7f3c9a1e5b"
"""The bank's credential. No agent may ever see it."""
GROUPS = ("finance", "legal", "brief", "pair")
TWIN = next(name for number in count() if partition_of(name := f"twin{number}") == partition_of("bot"))
"""An agent whose calls are kept beside those of bot, so that only what is in a pointer keeps the two apart."""
AGENTS = ("bot", "other", "third", TWIN)
HELD, NEVER, BRIEF, BOTH, PAIR = 5_000, 500_000, 777, 5_555, 8_888
"""Amounts that the policies below hold, deny, hold for one second, hold for two groups, hold for two people."""

POLICIES = """
@id("ops-may") @reason("Operations may use every tool.")
permit (principal in Team::"ops", action, resource);

@id("large-needs-finance") @approval("finance") @reason("Payments above 10.00 need a yes from finance.")
forbid (principal, action in [Action::"bank.pay", Action::"bank.refund", Action::"slow.pay"], resource)
when { context.input.amount > 1000 && context.input.amount != 8888 };

@id("abroad-needs-legal") @approval("legal") @reason("Payments of 55.55 need a yes from legal.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount == 5555 };

@id("two-people") @approval("pair") @reason("Payments of 88.88 need two people.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount == 8888 };

@id("brief-hold") @approval("brief") @reason("Payments of 7.77 are asked about briefly.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount == 777 };

@id("secrets-need-finance") @approval("finance") @reason("Secret items are shown after a yes from finance.")
forbid (principal, action == Action::"bank.get_secret", resource);

@id("huge-never") @reason("Payments above 1,000.00 are never made by agents.")
forbid (principal, action in [Action::"bank.pay", Action::"bank.refund", Action::"slow.pay"], resource)
when { context.input.amount > 100000 };
"""


def tools(**more: Mapping[str, Any]) -> dict[str, Any]:
    """The bank's tools."""
    amount = {
        "to": {"type": "string"},
        "amount": {"type": "integer", "minimum": 1},
        "note": {"type": "string", "optional": True},
    }
    return {
        "get_item": {"request": "GET /items/{item}", "effect": "read", "resource": "Item/{item}"},
        "head_item": {"request": "HEAD /items/{item}", "effect": "read", "resource": "Item/{item}"},
        "list_items": {"request": "GET /items", "effect": "read", "open": True},
        "get_secret": {"request": "GET /secrets/{item}", "effect": "read", "hold": {"wait": "0s"}},
        "search": {"request": "POST /search", "effect": "read", "safe": True, "input": {"query": {"type": "string"}}},
        "pay": {
            "request": "POST /payments", "effect": "write", "input": amount, "hold": {"wait": "300ms"},
            "headers": {"Bank-Account": {"type": "string", "optional": True}}, "resource": "Account/{to}",
        },
        "refund": {
            "request": "POST /refunds", "effect": "write", "body": "form", "hold": {"wait": "300ms"},
            "input": {"charge": {"type": "string"}, "amount": {"type": "integer", "minimum": 1}},
            "idempotency": {"send": "Idempotency-Key", "keeps": "24h"},
        },
        "upload": {"request": "POST /files", "effect": "write", "body": "opaque"},
        "log": {"request": "POST /log", "effect": "write", "dedupe": "off", "input": {"line": {"type": "string"}}},
        "delete_item": {"request": "DELETE /items/{item}", "effect": "destructive", "hold": {"wait": "300ms"}},
    } | more  # fmt: skip


def document(upstream: str, approver: str) -> dict[str, Any]:
    """routes.yaml as a value, to be changed by whoever needs another one."""
    hook = {"webhook": approver, "secret": {"env": "APPROVALS_SECRET"}}
    members = {"members": ["lead", "second", "boss"], "expire": "1h"}
    groups: dict[str, Any] = {
        name: members | {"notify": [hook | {"callback_secret": {"env": f"CALLBACK_{name.upper()}"}}]} for name in GROUPS
    }
    groups["brief"] |= {"expire": "1s"}
    groups["pair"] |= {"quorum": 2, "trusted": True}
    read = {"get_item": {"request": "GET /items/{item}", "effect": "read"}}
    reads = read | {"list_items": {"request": "GET /items", "effect": "read", "open": True}}
    pay = {"pay": tools()["pay"]}
    secret = {"env": "BANK_KEY"}
    private = {"header": {"name": "PRIVATE-TOKEN", "value": secret}}
    system = {"owner": "boss", "upstream": upstream, "credential": {"bearer": secret}, "timeout": "20s"}
    return {
        "version": 1,
        "people": {
            "lead": {"roles": ["approver"], "tokens": [digest(token_of("lead"))]},
            "second": {"roles": ["approver"], "tokens": [digest(token_of("second"))]},
            "boss": {"roles": ["approver", "operator"], "tokens": [digest(token_of("boss"))]},
            "outsider": {"roles": ["approver"], "tokens": [digest(token_of("outsider"))]},
            "operator": {"roles": ["operator"], "tokens": [digest(token_of("operator"))]},
            "auditor": {"roles": ["auditor"], "tokens": [digest(token_of("auditor"))]},
        },
        "approvals": groups,
        "agents": {name: {"owner": "boss", "teams": ["ops"], "keys": [digest(key_of(name))]} for name in AGENTS},
        "systems": {
            "bank": system | {"tools": tools(), "hosts": ["bank.example"]},
            "slow": system | {"timeout": "2s", "tools": pay | read},
            "paged": system | {"upstream": f"{upstream}/api/v3", "rewrite_urls": True, "tools": reads},
            "vault": system | {"credential": private, "tools": read | pay},
            "maps": system | {"credential": {"query": {"name": "key", "value": secret}}, "tools": reads},
            "erp": system | {"credential": {"basic": {"username": "gw", "password": secret}}, "tools": read},
            "gone": system | {"upstream": f"http://127.0.0.1:{refused_port()}", "tools": read | pay},
            "nowhere": system | {"upstream": "http://system.invalid", "tools": read | pay},
        },
    }  # fmt: skip


@dataclass
class World:
    gateway: Gateway
    upstream: ScriptedUpstream
    approvers: Approvers
    routes: dict[str, Any] = field(repr=False)
    secrets: dict[str, str] = field(repr=False)
    """The environment that routes.yaml speaks of."""
    clients: ExitStack = field(default_factory=ExitStack)
    _made: dict[str, httpx.Client] = field(default_factory=dict)

    def agent(self, name: str = "bot") -> httpx.Client:
        """A client of the agents' port that carries the agent's gateway key."""
        return self._client(f"agent {name}", self.gateway.agents, bearer(key_of(name)))

    def person(self, name: str) -> httpx.Client:
        """A client of the control plane that carries the person's token."""
        return self._client(f"person {name}", self.gateway.control, bearer(token_of(name)))

    def _client(self, name: str, url: str, headers: Mapping[str, str]) -> httpx.Client:
        if name not in self._made:
            client = httpx.Client(base_url=url, headers=dict(headers), timeout=90.0, trust_env=False)
            self._made[name] = self.clients.enter_context(client)
        return self._made[name]

    def pay(
        self, to: str, amount: int = 10, *, key: str = "", system: str = "bank", agent: str = "bot", **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()} | (
            {"idempotency-key": key} if key else {}
        )
        return self.agent(agent).post(f"/{system}/payments", json={"to": to, "amount": amount}, headers=named)

    def hold(self, to: str, amount: int = HELD, **more: Any) -> str:
        """A payment that is held; the id of its call."""
        answer = self.pay(to, amount, prefer="wait=0", **more)
        assert answer.status_code == 409 and slug(answer) == "approval-pending", answer.text
        call: str = answer.json()["call"]
        return call

    def timeline(self, call: str) -> list[str]:
        """Names of the facts of a call."""
        told = self.person("auditor").get(f"/calls/{call}").json()
        return [item["fact"] for item in told["timeline"]]

    def state(self, call: str) -> str:
        found: str = self.person("auditor").get(f"/calls/{call}").json()["state"]
        return found

    def status(self, call: str, agent: str = "bot", wait: int = 60) -> dict[str, Any]:
        """What GET /calls/{id} tells the agent, once it is over or `wait` seconds have passed."""
        found: dict[str, Any] = self.agent(agent).get(f"/calls/{call}", headers={"prefer": f"wait={wait}"}).json()
        return found


def slug(answer: httpx.Response) -> str:
    """Which of the gateway's errors it is; empty if it is none."""
    if not answer.headers.get("content-type", "").startswith(("application/json", "application/problem+json")):
        return ""
    told = answer.json()
    kind = told.get("type", "") if isinstance(told, dict) else ""
    return kind.removeprefix("urn:gateway:") if isinstance(kind, str) and kind.startswith("urn:gateway:") else ""


@contextmanager
def world(
    *, workers: int = 1, settings: Mapping[str, str] | None = None, change: Any = None, policies: str = POLICIES,
    files: Mapping[str, str] | None = None,
) -> Iterator[World]:  # fmt: skip
    """`change`: a function that is given the routes document to edit."""
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream())
        service = stack.enter_context(approvers(*GROUPS))
        routes = document(upstream.origin, service.url)
        if change is not None:
            change(routes)
        secrets = {
            "BANK_KEY": SECRET, "APPROVALS_SECRET": service.secret,
            **{f"CALLBACK_{name.upper()}": secret for name, secret in service.callback_secrets.items()},
        }  # fmt: skip
        gateway = stack.enter_context(
            serving(routes, policies, workers=workers, settings=secrets | dict(settings or {}), files=files)
        )
        yield World(gateway, upstream, service, routes, secrets, stack.enter_context(ExitStack()))
