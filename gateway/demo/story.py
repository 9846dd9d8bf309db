"""The story, chapter by chapter, in the order in which a newcomer understands it.

Every chapter does one thing through the unmodified SDK, checks what came of it, and only then says so. `expect` is the
only way a chapter may judge, and the sentence it is given is what the reader sees if it turns out untrue.
"""

import re
import subprocess
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import stripe

from gateway.demo import Broken
from gateway.demo.approver import Notice
from gateway.demo.collector import draw
from gateway.demo.stage import APPROVER, ROOT, Scene, gateway_command
from gateway.demo.transcript import Transcript

PAID, SMALL, LARGE, EXCESSIVE = 250_000, 1_200, 9_000, 120_000
"""Cents. The shipped policies ask finance above 5,000 and refuse above 100,000."""
HELD_BY, DENIED_BY = "refunds-over-50-need-finance", "refunds-over-1000-never"
YOURS = 7_000
"""Cents, of the refund that whoever watches decides."""
PATIENCE = 30.0
"""Seconds for what happens without a request: a notice, the effect after an approval, an export."""
THINKING = 600.0
"""Seconds that a person has for a decision on the page."""


@dataclass(frozen=True, slots=True)
class Order:
    """What there was before the story: a customer who paid."""

    charge: str
    customer: str


@dataclass(frozen=True, slots=True)
class Refunded:
    refund: str
    call: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    kind: str
    status: int
    slug: str
    sentence: str
    call: str


def tell(scene: Scene, transcript: Transcript) -> str:
    """The id of the call that a person approved."""
    order = Order(scene.record.create_charge(PAID, "Order 7"), scene.record.create_customer("ada@example.com"))
    read_allowed(scene, transcript, order)
    small = small_refund_allowed(scene, transcript, order)
    held = large_refund_held(scene, transcript, order)
    approved_by_callback(scene, transcript, order, held)
    same_call_again(scene, transcript, order, held)
    repeated_and_replayed(scene, transcript, order, small)
    denied_by_policy(scene, transcript, order)
    unknown_tool_denied(scene, transcript, order)
    timeline(scene, transcript, held)
    exported_trace(scene, transcript, held)
    if scene.person_token:
        decided_on_the_page(scene, transcript, order)
    return held.call


# --- The chapters -----------------------------------------------------------------------------------------------------


def read_allowed(scene: Scene, transcript: Transcript, order: Order) -> None:
    transcript.chapter("The agent is the official Stripe SDK. It reads a charge: allowed.")
    key = f"{scene.agent_key[:6]}..."
    transcript.code(f'client = stripe.StripeClient("{key}", base_addresses={{"api": "{scene.gateway}/stripe"}})')
    transcript.code(f'client.v1.charges.retrieve("{order.charge}")')
    charge = scene.client.v1.charges.retrieve(order.charge)
    expect(charge.id == order.charge and charge.amount == PAID, "The read did not return the charge.")
    expect((call := header(charge, "gateway-call")) != "", "The answer carries no Gateway-Call header.")
    transcript.good(f"{charge.id}: {money(charge.amount)}, {charge.status}. This was call {call}.")
    transcript.note("The agent has a gateway key. Stripe's key was added on the way, and never came near the agent.")


def small_refund_allowed(scene: Scene, transcript: Transcript, order: Order) -> Refunded:
    transcript.chapter(f"A refund of {money(SMALL)}: allowed.")
    done = refund(scene, transcript, order, SMALL, "order-7-broken-cup")
    expect(scene.record.refunds(order.charge) == {done.refund}, "localstripe does not have exactly that refund.")
    transcript.good(f"{done.refund} was made. localstripe counts 1 refund.")
    return done


def large_refund_held(scene: Scene, transcript: Transcript, order: Order) -> Refused:
    transcript.chapter(f"A refund of {money(LARGE)}: held, because finance has to say yes.")
    before, started = scene.record.refunds(order.charge), time.monotonic()
    held = refused(transcript, lambda: refund(scene, transcript, order, LARGE))
    waited = time.monotonic() - started
    expect((held.status, held.slug) == (409, "approval-pending"), f"Expected 409 approval-pending, got {held}.")
    expect(held.call != "", "The error does not name its call.")
    expect(waited >= 0.9, f"The request was to wait 1 s for an approver, but was answered after {waited:.2f} s.")
    expect(scene.record.refunds(order.charge) == before, "A held refund was made.")
    transcript.good(f"Held as call {held.call} after {waited:.1f} s. localstripe still counts 1 refund.")
    return held


def approved_by_callback(scene: Scene, transcript: Transcript, order: Order, held: Refused) -> None:
    transcript.chapter("The approver's service has received a signed notice. The finance lead says yes.")
    notice = verified_notice(scene, held)
    data = notice.data
    transcript.good(f"Signature verified, {notice.type}: {data['summary']}")
    expect([policy["id"] for policy in data["policies"]] == [HELD_BY], f"The notice names {data['policies']}.")
    transcript.note(f"{HELD_BY}: {data['policies'][0]['reason']}")
    expect(money(PAID) in notice.seen, f"The notice says {notice.seen!r} of the charge.")
    transcript.note(f"Looked up for the approver, and again before anything is sent: {notice.seen}.")
    transcript.note(f"The yes is for exactly this: {data['fingerprint'][:16]}..., until {data['expires_at']}.")
    answer = scene.approver.decide(notice, "approve", "finance-lead", "The espresso machine came back broken.")
    expect(answer.status_code == 200, f"The callback was answered with {answer.status_code}: {answer.text}")
    transcript.good("POST to the callback, signed: 200.")
    eventually(lambda: len(scene.record.refunds(order.charge)) == 2, "The approved refund was not made.")
    transcript.good("The gateway made the refund while the agent was away. localstripe counts 2 refunds.")


def same_call_again(scene: Scene, transcript: Transcript, order: Order, held: Refused) -> None:
    transcript.chapter("The agent tries again. Its SDK sends a new idempotency key; it is still the same call.")
    before = scene.record.refunds(order.charge)
    done = refund(scene, transcript, order, LARGE)
    expect(done.call == held.call, f"Expected the answer of call {held.call}, got {done.call}.")
    expect(done.refund in before, f"{done.refund} is not a refund that localstripe had before the second attempt.")
    expect(scene.record.refunds(order.charge) == before, "Trying again made another refund.")
    transcript.good(f"{done.refund}, the real refund, as the answer of call {done.call}. Still 2 refunds.")


def repeated_and_replayed(scene: Scene, transcript: Transcript, order: Order, first: Refunded) -> None:
    transcript.chapter("The small refund is asked for again with its key, as after a lost connection: replayed.")
    before = scene.record.refunds(order.charge)
    again = refund(scene, transcript, order, SMALL, "order-7-broken-cup")
    expect(again.refund == first.refund and again.call == first.call, "The repetition was not the same call.")
    expect(again.replayed, "The answer lacks Idempotent-Replayed: true.")
    expect(scene.record.refunds(order.charge) == before, "The repetition made another refund.")
    transcript.good(f"{again.refund} again, Idempotent-Replayed: true. Still 2 refunds at localstripe.")
    transcript.note("localstripe ignores idempotency keys: had the request reached it, it would count 3.")


def denied_by_policy(scene: Scene, transcript: Transcript, order: Order) -> None:
    transcript.chapter(f"A refund of {money(EXCESSIVE)}: denied. Nobody is asked, because nobody may approve it.")
    before = scene.record.refunds(order.charge)
    denied = refused(transcript, lambda: refund(scene, transcript, order, EXCESSIVE))
    expect((denied.status, denied.slug) == (403, "policy-denied"), f"Expected 403 policy-denied, got {denied}.")
    expect(reason_of(scene, DENIED_BY) in denied.sentence, "The error does not say the policy's reason.")
    expect(scene.record.refunds(order.charge) == before, "A denied refund was made.")
    transcript.good(f"The sentence is the @reason of {DENIED_BY} in policies/refunds.cedar. Still 2 refunds.")


def unknown_tool_denied(scene: Scene, transcript: Transcript, order: Order) -> None:
    transcript.chapter("The agent tries something that nobody declared: denied, although no policy mentions it.")
    transcript.code(f'client.v1.customers.delete("{order.customer}")')
    denied = refused(transcript, lambda: scene.client.v1.customers.delete(order.customer))
    expect((denied.status, denied.slug) == (403, "unknown-tool"), f"Expected 403 unknown-tool, got {denied}.")
    expect(scene.record.has_customer(order.customer), "The customer was deleted.")
    transcript.good("The customer is still there.")


def timeline(scene: Scene, transcript: Transcript, held: Refused) -> None:
    transcript.chapter("What happened to the held call, on whose authority: its timeline.")
    transcript.code(f"# gateway calls show {held.call}")
    command = gateway_command("calls", "show", held.call, "--data", scene.data)
    shown = subprocess.run(
        command, env=dict(scene.environment), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    expect(shown.returncode == 0, f"gateway calls show ended with {shown.returncode}: {shown.stderr.strip()}")
    transcript.block(shown.stdout)
    expect("finance-lead" in shown.stdout, "The timeline does not say who approved.")
    expect(HELD_BY in shown.stdout, f"The timeline does not name the policy {HELD_BY}.")
    leaked = scene.record.key in shown.stdout or scene.agent_key in shown.stdout
    expect(not leaked, "The timeline contains a secret.")
    transcript.good("It names the policy that asked and the person who answered; it contains no credential.")


def exported_trace(scene: Scene, transcript: Transcript, held: Refused) -> None:
    transcript.chapter("The same call as the trace collector got it.")
    spans = scene.collector.wait_for(held.call, PATIENCE)
    expect(len(spans) > 0, f"No span of call {held.call} was exported within {PATIENCE:g} s.")
    for tree in draw(spans):
        transcript.tree(tree)
    expect(any(span.links for span in spans), "The trace after the approval is not linked to the one before.")
    values = [value for span in spans for value in span.attributes.values()]
    leaked = any(scene.record.key in value or scene.agent_key in value for value in values)
    expect(not leaked, "A span contains a secret.")
    transcript.good(f"{len(spans)} spans, exported over OTLP; none of their {len(values)} attributes is a credential.")
    transcript.note("Two traces, linked, because a person thought in between. docs/traces.md explains every attribute.")


def decided_on_the_page(scene: Scene, transcript: Transcript, order: Order) -> None:
    transcript.chapter(f"Your turn: a refund of {money(YOURS)} waits for you, on the approvers' page.")
    before = scene.record.refunds(order.charge)
    held = refused(transcript, lambda: refund(scene, transcript, order, YOURS))
    expect(held.slug == "approval-pending", f"Expected approval-pending, got {held}.")
    page = f"{scene.control}/inbox/{held.call}"
    transcript.note(f"{page}")
    transcript.note(f"You are {APPROVER}; sign in with this token, which is worth nothing once the demo has ended:")
    transcript.code(scene.person_token)
    if not webbrowser.open(page):
        transcript.note("No browser could be opened here: open that address yourself.")
    state = _decided(scene, held.call)
    if state == "held":
        transcript.note(
            f"Nobody decided within {THINKING / 60:g} minutes, so the refund was not made; it would wait for a day."
        )
    elif state == "answered":
        expect(
            len(scene.record.refunds(order.charge)) == len(before) + 1,
            "You approved, but localstripe has no new refund.",
        )
        transcript.good("You said yes, and the gateway made the refund. localstripe counts one more.")
    else:
        expect(scene.record.refunds(order.charge) == before, "You said no, but a refund was made.")
        transcript.good("You said no, and nothing was refunded. The agent reads your reason.")


def _decided(scene: Scene, call: str) -> str:
    """How the call stands once somebody has decided, or when the time is over."""
    deadline = time.monotonic() + THINKING
    headers = {"authorization": f"Bearer {scene.person_token}"}
    while True:
        told = httpx.get(f"{scene.control}/calls/{call}", headers=headers, trust_env=False, timeout=10.0).json()
        if told["state"] in ("answered", "denied") or time.monotonic() > deadline:
            return str(told["state"])
        time.sleep(0.3)


# --- What chapters are made of ----------------------------------------------------------------------------------------


def expect(truth: object, otherwise: str) -> None:
    if not truth:
        raise Broken(otherwise)


def eventually(truth: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not truth():
        expect(time.monotonic() < deadline, f"{otherwise} ({PATIENCE:g} s were not enough.)")
        time.sleep(0.05)


def refund(scene: Scene, transcript: Transcript, order: Order, amount: int, key: str = "") -> Refunded:
    """Show the line of the agent's code, and run it. Without a key the SDK invents one per call."""
    options = f', {{"idempotency_key": "{key}"}}' if key else ""
    transcript.code(f'client.v1.refunds.create({{"charge": "{order.charge}", "amount": {amount}}}{options})')
    made = scene.client.v1.refunds.create(
        {"charge": order.charge, "amount": amount}, {"idempotency_key": key} if key else {}
    )
    expect(made.amount == amount and made.charge == order.charge, f"That is not the refund that was asked for: {made}")
    return Refunded(made.id, header(made, "gateway-call"), header(made, "idempotent-replayed") == "true")


def refused(transcript: Transcript, attempt: Callable[[], object]) -> Refused:
    """What the SDK raises, as the model behind it would read it."""
    try:
        attempt()
    except stripe.StripeError as error:
        body = error.json_body if isinstance(error.json_body, dict) else {}
        kind = f"stripe.{type(error).__name__}"
        transcript.raised(kind, str(error))
        slug = str(body.get("type", "")).removeprefix("urn:gateway:")
        return Refused(kind, error.http_status or 0, slug, str(error), str(body.get("call", "")))
    raise Broken("The gateway let it through.")


def verified_notice(scene: Scene, held: Refused) -> Notice:
    notice = scene.approver.next_notice(PATIENCE)
    expect(scene.approver.forged == 0, "The approver's service received a notice with a bad signature.")
    if notice is None:
        raise Broken(f"The approver's service received no notice within {PATIENCE:g} s.")
    expect(notice.type == "approval.requested", f"Expected approval.requested, got {notice.type}.")
    expect(notice.data["call"] == held.call, f"The notice is about call {notice.data['call']}, not {held.call}.")
    expect(notice.data["input"].get("amount") == LARGE, f"The notice does not show the amount: {notice.data['input']}")
    return notice


def reason_of(scene: Scene, policy: str) -> str:
    """The sentence that the security team wrote beside that policy."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(scene.policies.glob("*.cedar")))
    found = re.search(rf'@id\("{re.escape(policy)}"\)\s*@reason\("([^"]*)"\)', text)
    expect(found, f"No policy {policy} with a @reason in {scene.policies}.")
    return found[1] if found else ""


def header(answer: stripe.StripeObject, name: str) -> str:
    return str(answer.last_response.headers.get(name, "")) if answer.last_response else ""


def money(cents: int) -> str:
    return f"{cents / 100:,.2f} EUR"
