"""Denials, by the gateway, a policy or a person: nothing was done, and asking again will not help."""

from collections.abc import Sequence
from typing import Self

from gateway.core.call import Call
from gateway.core.verdict import Verdict
from gateway.errors.base import NOTHING_DONE, AccessDenied, listed, shortened


class GatewayCredential(AccessDenied):
    slug, status, title = "gateway-credential", 401, "No valid gateway key"

    def __init__(self, *, presented: bool) -> None:
        found = "The gateway key in this request is not known; it may be revoked or mistyped." if presented else (
            "This request has no gateway key."
        )  # fmt: skip
        super().__init__(
            f"{found} {NOTHING_DONE} Put your gateway key where your SDK puts the system's API key (such as "
            "`Authorization: Bearer gk_...`). Do not send the system's own credential: the gateway has it.",
            headers={"www-authenticate": 'Bearer realm="gateway"'},
        )


class AgentSuspended(AccessDenied):
    slug, title = "agent-suspended", "The agent is suspended"

    def __init__(self, agent: str, *, call: str | None = None) -> None:
        super().__init__(
            f"The agent {agent!r} is suspended by an operator. {NOTHING_DONE} Stop, and tell the person you work for; "
            "repeating requests does not help.",
            call=call,
        )


class UnknownTool(AccessDenied):
    slug, title = "unknown-tool", "There is no such tool"

    def __init__(self, method: str, path: str, nearest: Sequence[str] = (), why: str = "") -> None:
        """`nearest`: declared tools as `stripe.get_charge (GET /v1/charges/{charge})`."""
        cause = why or f"no tool is declared for {method} {shortened(path)}"
        hint = f" The nearest declared tools are: {listed(nearest)}." if nearest else ""
        super().__init__(
            f"The gateway passes on only what its operator declared, and {cause}. {NOTHING_DONE}{hint} Use a declared "
            "tool, or ask the operator to declare this one in routes.yaml.",
            members={"method": method, "path": shortened(path), "nearest": list(nearest)},
        )


class PolicyDenied(AccessDenied):
    slug, title = "policy-denied", "A policy denies this call"

    def __init__(self, reasons: Sequence[str] = (), *, tool: str = "", code: str = "", call: str | None = None) -> None:
        """`reasons`: the policies' own `@reason` sentences. `code`: of a deny that no policy decided."""
        why = " ".join(reasons) or {
            "no-permit": "No policy permits it.",
            "policy-error": "A policy could not be evaluated, so the gateway denies to be safe.",
        }.get(code, "A policy forbids it.")
        super().__init__(
            f"{tool or 'This call'} was denied: {why} {NOTHING_DONE} Repeating the same request will be denied again; "
            "change what the reason names, or tell the person you work for.",
            call=call,
            members={"reasons": list(reasons)} | ({"code": code} if code else {}),
        )

    @classmethod
    def of_known(cls, verdict: Verdict, state: str, call: Call) -> Self:
        """The error of a deny of a request that is a call already: whatever became of that is not taken back."""
        error = cls(verdict.reasons, tool=call.tool, code=verdict.code, call=call.id)
        why = " ".join(verdict.reasons) or "policies forbid it."
        error.detail = (
            f"{call.tool} is denied now, so no answer is given: {why} But this request is call {call.id}, which was "
            f"made before and is {state}: it may have been executed. Do not perform it in another way; tell the person "
            "you work for."
        )
        error.args = (error.detail,)
        return error

    @classmethod
    def of(cls, verdict: Verdict, *, tool: str = "", call: str | None = None) -> Self:
        """The error of a deny."""
        return cls(verdict.reasons, tool=tool, code=verdict.code, call=call)


class ApprovalRejected(AccessDenied):
    slug, title = "approval-rejected", "A person rejected this call"

    def __init__(self, call: str, groups: Sequence[str], reason: str = "") -> None:
        said = f" Their reason: {shortened(reason, 1000)}" if reason else " They gave no reason."
        super().__init__(
            f"{listed(groups)} rejected this call.{said} {NOTHING_DONE} Do not send it again unless the person you "
            "work for tells you to.",
            call=call,
            members={"approvals": list(groups), "reason": reason},
        )


class ApprovalExpired(AccessDenied):
    slug, title = "approval-expired", "Nobody approved this call in time"

    def __init__(self, call: str, groups: Sequence[str], expired_at: str) -> None:
        super().__init__(
            f"This call needed approval by {listed(groups)}; nobody decided before {expired_at}. {NOTHING_DONE} Tell "
            "the person you work for; a new approval has to be agreed with the approvers first.",
            call=call,
            members={"approvals": list(groups), "expired_at": expired_at},
        )


class CallCancelled(AccessDenied):
    slug, title = "call-cancelled", "This call was cancelled by somebody who answers for it"

    def __init__(self, call: str, by: str, reason: str = "") -> None:
        said = f" Their reason: {shortened(reason, 1000)}" if reason else " They gave no reason."
        super().__init__(
            f"{by} cancelled call {call} before it was sent.{said} {NOTHING_DONE} Do not send it again unless the "
            "person you work for tells you to.",
            call=call,
            members={"by": by, "reason": reason},
        )


class CallWithdrawn(AccessDenied):
    slug, title = "call-withdrawn", "This call was withdrawn"

    def __init__(self, call: str) -> None:
        super().__init__(
            f"Call {call} was withdrawn by you before anybody decided. {NOTHING_DONE} If you mean it after all, send "
            "the request again with a new idempotency key.",
            call=call,
        )
