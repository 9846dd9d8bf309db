"""A small company for tests: its routes, its people, what its agents ask for, and policies in one line.

Nothing here breaks or remembers; see `tests.world` for that.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.admit import Admission, Asker, Edit, Inadmissible, admit, asks_for, look, readmit
from gateway.core.call import Call, Request, call_id
from gateway.core.grants import Grant, NotGrantable, Terms
from gateway.core.payload import pack_request, unpack_request
from gateway.core.previews import Preview, asked_for
from gateway.core.routes import Agent, Credential, Group, Person, Routes, SecretReference, System, Tool, Webhook
from gateway.core.verdict import Question, Requirement, Verdict
from gateway.wire.making import made

KEY = b"deployment key for tests"
NIGHT = 1_795_168_800_000
"""When every story begins, milliseconds since the epoch."""
FINANCE = Requirement("finance", "over-50", "text-1")

SECRET = SecretReference("env", "STRIPE_API_KEY")
HOOK = Webhook(url="https://approvals.example/hook", secret=SecretReference("env", "HOOK"))


def tool(name: str, **changes: Any) -> Tool:
    full = Tool(
        name=f"stripe.{name}", system="stripe", method="POST", template=("v1", name), effect="write", body="json"
    )
    return replace(full, **changes)


REFUND = tool("refund")
CAPTURE = tool("capture", send_key="Idempotency-Key", system_keeps_seconds=24 * 3600.0)
CHARGE = tool("charge", method="GET", effect="read", body="none", dedupe=False)
REPORT = tool("report", method="GET", effect="read", body="none")
TOOLS = (REFUND, CAPTURE, CHARGE, REPORT)
STRIPE = System(
    name="stripe",
    origin="https://api.stripe.example",
    owner="olga",
    credential=Credential("bearer", SECRET),
    tools=TOOLS,
)

PEOPLE = {
    "ann": Person(name="ann", email="ann@acme.example", roles=frozenset({"approver"})),
    "bob": Person(name="bob", roles=frozenset({"approver"})),
    "olga": Person(name="olga", roles=frozenset({"operator", "approver"})),
    "carl": Person(name="carl", roles=frozenset({"auditor"})),
}
GROUPS = {
    "finance": Group(
        name="finance", members=("ann", "bob", "olga", "carl", "ghost"), channels=(HOOK,), expire_seconds=3600
    ),
    "legal": Group(name="legal", members=("ann", "bob"), channels=(HOOK, HOOK), expire_seconds=7200),
}
AGENTS = {
    "billing-bot": Agent(name="billing-bot", owner="olga"),
    "support-bot": Agent(name="support-bot", owner="bob"),
}
ROUTES = Routes(systems={"stripe": STRIPE}, agents=AGENTS, people=PEOPLE, groups=GROUPS, digest="routes-1")


def with_tool(changed: Tool, routes: Routes = ROUTES) -> Routes:
    """The routes after somebody edited one tool."""
    tools = tuple(changed if found.name == changed.name else found for found in routes.systems["stripe"].tools)
    return replace(routes, systems={"stripe": replace(routes.systems["stripe"], tools=tools)})


def with_system(routes: Routes = ROUTES, **changes: Any) -> Routes:
    return replace(routes, systems={"stripe": replace(routes.systems["stripe"], **changes)})


def with_group(name: str, routes: Routes = ROUTES, **changes: Any) -> Routes:
    return replace(routes, groups={**routes.groups, name: replace(routes.groups[name], **changes)})


# --- Requests and policies ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arguments:
    """What gateway.wire would have read."""

    input: Mapping[str, object]
    extra: Mapping[str, object] = field(default_factory=dict)
    declared_headers: tuple[tuple[str, str], ...] = ()
    comparable_body: bytes = b""
    resource_id: str = ""


def arguments_of(request: Request) -> Arguments:
    return Arguments(input=json.loads(request.body or b"{}"), comparable_body=request.body)


def request_for(wanted: Tool, amount: int = 5) -> Request:
    body = json.dumps({"amount": amount}).encode() if wanted.acts else b""
    target = "/" + "/".join(map(str, wanted.template)) + ("" if wanted.acts else f"?amount={amount}")
    headers = (("content-type", "application/json"),) if wanted.acts else ()
    return Request(system="stripe", method=wanted.method, target=target, headers=headers, body=body)


Decide = Callable[[Question, frozenset[Requirement]], Verdict]


def allow(_: Question, __: frozenset[Requirement]) -> Verdict:
    return Verdict(decision="allow", policies=("all",))


def deny(_: Question, __: frozenset[Requirement]) -> Verdict:
    return Verdict(decision="deny", policies=("none",), reasons=("Not today.",))


def holding(*requirements: Requirement) -> Decide:
    """Hold until all of these are met."""

    def decide(_: Question, met: frozenset[Requirement]) -> Verdict:
        unmet = tuple(item for item in requirements if item not in met)
        return Verdict(decision="hold" if unmet else "allow", requirements=unmet or requirements)

    return decide


@dataclass(frozen=True)
class Policies:
    decide: Decide

    def judge(self, question: Question, met: frozenset[Requirement]) -> Verdict:
        return self.decide(question, met)


@dataclass(frozen=True)
class Granting:
    """Standing grants in few words: their text is the terms, and every other argument counts for nothing."""

    def text(self, question: Question, terms: Terms, *, policy: str, grant: str) -> str:
        if terms.free:
            raise NotGrantable("nothing is free here")
        return json.dumps([grant, policy, question.agent, question.action, dict(terms.bounds), terms.until])

    def matching(self, question: Question, grants: Sequence[Grant]) -> tuple[Grant, ...]:
        return tuple(grant for grant in grants if self._matches(question, grant))

    def _matches(self, question: Question, grant: Grant) -> bool:
        name, policy, agent, action, bounds, until = json.loads(grant.text)
        assert (name, policy) == (grant.id, grant.requirement.policy)
        fits = all(int(str(question.input.get(argument, 0))) <= most for argument, most in bounds.items())
        return fits and (agent, action) == (question.agent, question.action) and int(str(question.call["now"])) < until


@dataclass(frozen=True)
class Generation:
    digest: str = "generation-1"
    routes: Routes = ROUTES
    policies: Policies = Policies(allow)
    granting: Granting = Granting()

    def edit(self, before: Admission, payload: Mapping[str, bytes], changes: Mapping[str, object]) -> Edit:
        body = json.dumps({**json.loads(before.request.body), **changes}).encode()
        request = pack_request(replace(before.request, body=body))
        after = self.readmit(before.call, {**payload, "request": request})
        return Edit(admission=after, request=request, changed=tuple(sorted(changes)))

    def readmit(self, call: Call, payload: Mapping[str, bytes]) -> Admission:
        system = self.routes.systems.get(call.system)
        wanted = self.routes.tool(call.tool)
        if system is None or wanted is None or not payload.get("request"):
            raise Inadmissible("unknown-tool", f"{call.tool!r} is no longer declared")
        request = unpack_request(payload["request"])
        return readmit(call, system, wanted, request, arguments_of(request), salt=payload["salt"])

    def preview(self, held: Admission, preview: Preview, *, call_id: str, salt: bytes) -> Admission:
        wanted = self.routes.tool(preview.tool)
        if wanted is None:
            raise Inadmissible("unknown-tool", f"{preview.tool} is no longer declared.")
        given = asked_for(preview, {**held.extra, **held.question.input})
        request, arguments = made(wanted, given), Arguments(input=dict(given))
        asker = asks_for(held.call, self.routes.agents[held.call.agent])
        return look(asker, held.system, wanted, request, arguments, call_id=call_id, salt=salt)


HOLDING = Generation(policies=Policies(holding(FINANCE)))


def admission(
    wanted: Tool = REFUND,
    *,
    key: str | None = "key-1",
    amount: int = 5,
    agent: str = "billing-bot",
    user: str | None = None,
    routes: Routes = ROUTES,
    random: str = "",
) -> Admission:
    """A fresh request of an agent, as the door admits it."""
    request = request_for(wanted, amount)
    return admit(
        Asker(agent=routes.agents[agent], user=user, key=key), routes.systems["stripe"], wanted, request,
        arguments_of(request), call_id=call_id(agent, random or secrets.token_hex(10)), salt=b"salt-salt",
        deployment_key=KEY,
    )  # fmt: skip
