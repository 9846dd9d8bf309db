"""The configuration under torture: one system, an unrepeatable and a repeatable tool, holds above an amount."""

from typing import Any

from tests.gateway_process import digest, key_of, token_of

AGENTS = ("ada", "bob", "cyd", "dan")
"""In different partitions of the journal."""
SMALL, HELD, NEVER = 10, 5_000, 500_000
TIMEOUT_SECONDS = 1.0
EXPIRE_SECONDS = 8.0
SETTINGS = {"BANK_KEY": "sk_live_torture", "GATEWAY_SHUTDOWN_GRACE": "5"}

POLICIES = """
@id("ops-may") permit (principal in Team::"ops", action, resource);

@id("large") @approval("finance") @reason("Above 10.00 finance has to say yes.")
forbid (principal, action in [Action::"bank.pay", Action::"bank.refund"], resource)
when { context.input.amount > 1000 };

@id("never") @reason("Above 1,000.00 never.")
forbid (principal, action in [Action::"bank.pay", Action::"bank.refund"], resource)
when { context.input.amount > 100000 };
"""


def document(upstream: str, approver: str) -> dict[str, Any]:
    order = {"order": {"type": "string"}, "amount": {"type": "integer", "minimum": 1}}
    hold = {"hold": {"wait": "500ms"}}
    hook = {"webhook": approver, "secret": {"env": "APPROVALS_SECRET"}, "callback_secret": {"env": "CALLBACK_SECRET"}}
    return {
        "version": 1,
        "people": {
            "lead": {"roles": ["approver"], "tokens": [digest(token_of("lead"))]},
            "boss": {"roles": ["operator", "auditor"], "tokens": [digest(token_of("boss"))]},
        },
        "approvals": {"finance": {"members": ["lead"], "expire": f"{EXPIRE_SECONDS:g}s", "notify": [hook]}},
        "agents": {
            name: {"owner": "boss", "teams": ["ops"], "keys": [digest(key_of(name))], "questions": "off"}
            for name in AGENTS
        },
        "systems": {
            "bank": {
                "owner": "boss", "upstream": upstream, "credential": {"bearer": {"env": "BANK_KEY"}},
                "timeout": f"{TIMEOUT_SECONDS:g}s",
                "tools": {
                    "pay": {"request": "POST /pay", "effect": "write", "input": order, **hold},
                    "refund": {
                        "request": "POST /refund", "effect": "write", "input": order, **hold,
                        "idempotency": {"send": "Idempotency-Key", "keeps": "24h"},
                    },
                    "get_item": {"request": "GET /items/{item}", "effect": "read"},
                },
            }
        },
    }  # fmt: skip
