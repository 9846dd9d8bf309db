"""A group whose ladder is climbed in seconds, beside those of `tests.gateway_world`, and what its people heard.

lead is asked at once and reminded; then it is cfo's turn too; the last rung is chief, who owns the system; then it is
a no. The clock is the real one: nothing here waits for a moment, only for what has happened by then.
"""

import json
from collections import Counter

from tests.gateway_process import digest, token_of
from tests.gateway_world import POLICIES, World

LADDER = 4_444
"""An amount that the group `ladder` has to say yes to."""
LADDER_POLICIES = POLICIES.replace("amount != 8888", "amount != 8888 && context.input.amount != 4444") + """
@id("by-ladder") @approval("ladder") @reason("Payments of 44.44 climb a ladder.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount == 4444 };
"""  # fmt: skip
RUNGS = ("approval.requested", "approval.reminded", "approval.escalated", "approval.escalated", "call.finished")
"""What the group hears of a call that nobody decides, in order."""


def with_ladder(remind: str, escalate: str, expire: str):
    """A change of the routes for `tests.gateway_world.world`."""

    def change(routes):
        for name in ("cfo", "chief"):
            routes["people"][name] = {"roles": ["approver"], "tokens": [digest(token_of(name))]}
        hook = dict(routes["approvals"]["finance"]["notify"][0])
        del hook["callback_secret"]  # its people decide with their tokens
        routes["approvals"]["ladder"] = {
            "members": ["lead"], "notify": [hook], "remind": remind, "escalate": {"after": escalate, "to": ["cfo"]},
            "expire": expire,
        }  # fmt: skip
        routes["systems"]["bank"]["owner"] = "chief"

    return change


def heard(scene: World, call: str, *, once: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    """Kind, and whom it was for, of every message about the call: questions first, then news as they arrived.

    `once`: as receivers count who know a repeat by its webhook-id. A process that is killed between a delivery and its
    fact delivers again.
    """
    mine = [each for each in (*scene.approvers.notices, *scene.approvers.news) if each.data["call"] == call]
    told = [each for at, each in enumerate(mine) if not once or each.message not in {it.message for it in mine[:at]}]
    return [(json.loads(notice.raw)["type"], tuple(notice.data.get("to", ()))) for notice in told]


def facts(scene: World, call: str) -> Counter[str]:
    return Counter(scene.timeline(call))


def say(scene: World, call: str, by: str, decision: str = "approve"):
    """A person of the ladder decides on what is asked now, with a token."""
    (question,) = scene.person("auditor").get(f"/approvals/{call}").json()["questions"]
    body = {"approval": "ladder", "decision": decision, "fingerprint": question["fingerprint"]}
    return scene.person(by).post(f"/approvals/{call}/decision", json=body)
