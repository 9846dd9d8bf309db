"""Takes the pictures of docs/pictures/ from the real page, in a real Chromium.

    .venv/bin/python docs/make_pictures.py

Look at them afterwards: no test can say whether they are beautiful.
"""
# ruff: noqa: INP001 - a script beside the pages that it illustrates

import shutil
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402 - the path comes first

from tests.console.page_client import Page  # noqa: E402
from tests.gateway_process import token_of  # noqa: E402
from tests.gateway_world import World, world  # noqa: E402
from tests.scripted_upstream import answer  # noqa: E402

POLICIES = """
@id("ops-may") permit (principal in Team::"ops", action, resource);
@id("over-1000-needs-finance") @approval("finance") @reason("Payments above 1,000.00 EUR need a yes from finance.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount > 100000 };
@id("deleting-needs-two") @approval("pair") @reason("What is deleted cannot be brought back; two people look at it.")
forbid (principal, action in Action::"destructive", resource);
"""
ACCOUNT = {
    "tool": "get_item", "input": {"item": "{to}"}, "show": ["open_invoices", "balance|money:eur"], "bind": ["balance"],
    "title": "holder",
}  # fmt: skip


def change(routes: dict[str, Any]) -> None:
    tools, people = routes["systems"]["bank"]["tools"], routes["people"]
    tools["pay"] |= {"summary": "Pay {amount|money:eur} to {to}", "preview": {"account": ACCOUNT}}
    tools["delete_item"]["summary"] = "Delete customer {item} for good"
    people["maria"], people["jonas"] = people.pop("lead"), people.pop("second")
    for group in routes["approvals"].values():
        group["members"] = ["maria", "jonas", "boss"]
    routes["agents"]["billing-bot"] = routes["agents"].pop("bot")


def held(scene: World) -> dict[str, str]:
    """Two questions, by what they are about."""
    scene.upstream.will("acme-gmbh", answer(200, {"holder": "ACME GmbH", "open_invoices": 1, "balance": 412_000}))
    run = {"prefer": "wait=0", "gateway-run": "invoices-november"}
    body = {"to": "acme-gmbh", "amount": 129_000, "note": "Invoice 2026-1187"}
    why = run | {"gateway-reason": "The invoice is due on Monday, and the goods arrived on the 12th."}
    pay = scene.agent().post("/bank/payments", json=body, headers=why).json()["call"]
    why = run | {"gateway-reason": "The customer asked for it in ticket 88."}
    delete = scene.agent().delete("/bank/items/4711", headers=why).json()["call"]
    time.sleep(1.5)  # until the account was looked at
    return {"pay": pay, "delete": delete}


def approved(scene: World) -> str:
    """A payment that somebody let through after a while."""
    run = {"prefer": "wait=0", "gateway-run": "invoices-november"}
    body = {"to": "acme-gmbh", "amount": 129_000, "note": "Invoice 2026-1188"}
    call: str = scene.agent().post("/bank/payments", json=body, headers=run).json()["call"]
    time.sleep(14)
    Page(scene, "lead").decide(call, "approve", reason="That is our supplier.")
    time.sleep(3)  # until it is sealed
    return call


def take(browser: Browser, scene: World, path: str, name: str, **how: Any) -> None:
    context = browser.new_context(base_url=scene.gateway.control, **how)
    page = context.new_page()
    page.goto("/login")
    page.fill("#token", token_of("lead"))
    page.click("text=Sign in >> nth=-1")
    page.goto(path)
    page.wait_for_timeout(300)
    page.screenshot(path=ROOT / "docs" / "pictures" / f"{name}.png")
    context.close()


def main() -> None:
    with world(policies=POLICIES, change=change) as scene, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        calls = held(scene)
        phone = {"is_mobile": True, "has_touch": True}
        take(browser, scene, "/inbox", "inbox", viewport={"width": 390, "height": 620}, **phone)
        take(browser, scene, f"/inbox/{calls['pay']}", "card", viewport={"width": 390, "height": 1320}, **phone)
        desk = {"width": 900, "height": 830}
        take(browser, scene, f"/inbox/{calls['delete']}", "destructive", viewport=desk, color_scheme="dark")
        take(browser, scene, f"/record/{approved(scene)}?verify", "story", viewport={"width": 900, "height": 860})
        browser.close()


if __name__ == "__main__":
    main()
