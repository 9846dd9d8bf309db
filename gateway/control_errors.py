"""What the control plane answers when it will not do what a person or an approver's system asked.

    GatewayError
    ├── PersonToken           401  no token, or one that nobody has
    ├── BadSignature          401  the callback is not proven to come from the group's system
    ├── BadSlackSignature     401  the press of a button is not proven to come from Slack
    ├── OtherWorkspace        403  it comes from a workspace of Slack that the group does not use
    ├── AgentAtControlPlane   403  an agent's key; agents never come in here
    ├── RoleMissing           403
    ├── NotEligible           403  that person may not decide this call
    ├── GrantNotYours         403  revoking it is for its group and for operators
    ├── InvalidBody           400
    ├── UnknownState          400
    ├── InvalidQuery           400
    ├── UnknownCall           404
    ├── UnknownAgent          404
    ├── UnknownGrant          404
    ├── NothingHere           404
    ├── CannotEdit            422  the call cannot be made with these arguments
    ├── NotCancelled          409  it is no longer held, so it cannot be cancelled
    ├── ApprovalStale         409  the question moved on; nothing was recorded
    ├── GrantNotShown         409  what would be granted is not what was shown
    ├── NotGrantable          422  there can be no such standing grant
    ├── NotInDoubt            409  there is no doubt to settle
    ├── TooEarlyToSettle      409  there is one, but the system may still act
    └── NothingLost           409  no record is missing

Same shape and same renderer as `gateway.errors`, another reader: an operator, often at night.
"""

from collections.abc import Sequence

from gateway.errors.base import GatewayError, listed, shortened

PATHS = (
    "GET /livez", "GET /readyz", "GET /metrics", "GET /approvals", "GET /approvals/stats", "GET /approvals/{call}",
    "POST /approvals/{call}/decision", "POST /approvals/{call}/grant", "GET /grants", "DELETE /grants/{grant}",
    "GET /calls", "GET /calls/{call}", "POST /calls/{call}/resolve", "POST /calls/{call}/cancel", "GET /agents",
    "POST and DELETE /agents/{agent}/suspend", "POST /journal/acknowledge-loss",
    "POST /slack/interactions",
)  # fmt: skip


class PersonToken(GatewayError):
    slug, status, title = "person-token", 401, "No valid token"

    def __init__(self, *, presented: bool) -> None:
        found = "That token belongs to nobody in routes.yaml." if presented else "This needs a person's token."
        super().__init__(
            f"{found} Send `Authorization: Bearer <token>`; make one with `gateway key new person NAME`.",
            headers={"www-authenticate": 'Bearer realm="gateway control plane"'},
        )


class BadSignature(GatewayError):
    slug, status, title = "bad-signature", 401, "The signature does not prove this decision"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"Nothing was recorded: {why}. Sign `<webhook-id>.<webhook-timestamp>.<body>` with the callback secret of "
            "the approval group (Standard Webhooks, v1 or v1a)."
        )


class BadSlackSignature(GatewayError):
    slug, status, title = "bad-slack-signature", 401, "The signature does not prove that this comes from Slack"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"Nothing was recorded: {why}. Slack signs with the app's signing secret: `signing_secret` under `slack`."
        )


class OtherWorkspace(GatewayError):
    slug, status, title = "other-workspace", 403, "That is another workspace of Slack"

    def __init__(self, call: str) -> None:
        super().__init__(
            "Nothing was recorded: the button was pressed in, or by a user of, another workspace than the `workspace` "
            "of this group's channel in routes.yaml.",
            call=call,
        )


class AgentAtControlPlane(GatewayError):
    slug, status, title = "agent-at-control-plane", 403, "Agents have no business here"

    def __init__(self, agent: str) -> None:
        super().__init__(f"This is the gateway key of the agent {agent!r}. The control plane is for people only.")


class RoleMissing(GatewayError):
    slug, status, title = "role-missing", 403, "That needs another role"

    def __init__(self, person: str, roles: Sequence[str]) -> None:
        super().__init__(f"{person!r} does not have the role {listed(roles, 'or')}; roles are given in routes.yaml.")


class NotEligible(GatewayError):
    slug, status, title = "not-eligible", 403, "That person may not decide this call"

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"Nothing was recorded: {why}.", call=call)


class UnknownCall(GatewayError):
    slug, status, title = "unknown-call", 404, "There is no such call"

    def __init__(self, call: str) -> None:
        super().__init__(
            f"There is no call {shortened(call, 60)!r}, or it is older than what the gateway keeps. GET /calls lists "
            "the last ones."
        )


class InvalidBody(GatewayError):
    slug, status, title = "invalid-body", 400, "The body is not what it must be"

    def __init__(self, problems: Sequence[str]) -> None:
        """`problems`: a sentence about each wrong member, without full stop."""
        super().__init__(f"Nothing was recorded: {'; '.join(problems)}. See docs/operations.md and docs/approvals.md.")


class UnknownState(GatewayError):
    slug, status, title = "unknown-state", 400, "There is no such state"

    def __init__(self, wanted: str, states: Sequence[str]) -> None:
        super().__init__(f"`state` is {shortened(wanted, 40)!r}, but must be {listed(states, 'or')}.")


class InvalidQuery(GatewayError):
    slug, status, title = "invalid-query", 400, "The query is not what it must be"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}. See docs/operations.md.")


class UnknownAgent(GatewayError):
    slug, status, title = "unknown-agent", 404, "There is no such agent"

    def __init__(self, agent: str) -> None:
        super().__init__(f"There is no agent {shortened(agent, 60)!r} in routes.yaml.")


class NothingHere(GatewayError):
    slug, status, title = "nothing-here", 404, "There is nothing here"

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"The control plane has no {shortened(method, 20)} {shortened(path, 100)}. It has {', '.join(PATHS)}; see "
            "docs/operations.md."
        )


class ApprovalStale(GatewayError):
    slug, status, title = "approval-stale", 409, "The question has moved on"

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"Nothing was recorded: {why}. GET /approvals/{call} shows how it stands now.", call=call)


class NotGrantable(GatewayError):
    slug, status, title = "not-grantable", 422, "There can be no such standing grant"

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"Nothing was recorded: {why}. See docs/approvals.md.", call=call)


class GrantNotShown(GatewayError):
    slug, status, title = "grant-not-shown", 409, "That is not what was shown"

    def __init__(self, call: str) -> None:
        super().__init__(
            "Nothing was recorded: `confirm` must list the ids of exactly these grants. The same request with "
            "`dry: true` shows them with their text. Ask for that, read the text, then confirm.",
            call=call,
        )


class UnknownGrant(GatewayError):
    slug, status, title = "unknown-grant", 404, "There is no such grant"

    def __init__(self, grant: str) -> None:
        super().__init__(
            f"There is no standing grant {shortened(grant, 60)!r}, or it was over a month ago. GET /grants lists them."
        )


class GrantNotYours(GatewayError):
    slug, status, title = "grant-not-yours", 403, "That person may not revoke this grant"

    def __init__(self, grant: str, group: str) -> None:
        super().__init__(f"Nothing was recorded: {grant} may be revoked by approvers of {group!r} and by operators.")


class CannotEdit(GatewayError):
    slug, status, title = "cannot-edit", 422, "The call cannot be made with these arguments"

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"Nothing was recorded: {why.rstrip('.')}. The call still waits as it was.", call=call)


class NotCancelled(GatewayError):
    slug, status, title = "not-cancelled", 409, "Only a held call can be cancelled"

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"Nothing was recorded: {why}.", call=call)


class NotInDoubt(GatewayError):
    slug, status, title = "not-in-doubt", 409, "There is no doubt to settle"

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"Nothing was recorded: {why}. GET /calls/{call} shows how it stands now.", call=call)


class TooEarlyToSettle(GatewayError):
    slug, status, title, retryable = "too-early-to-settle", 409, "Too early to settle this", True

    def __init__(self, call: str, seconds: int) -> None:
        super().__init__(
            f"Nothing was recorded: the last send of call {call} may still be under way, so the system could act after "
            f"you have looked. Look again and settle it in {seconds} seconds.",
            call=call,
            headers={"retry-after": str(seconds)},
        )


class NothingLost(GatewayError):
    slug, status, title = "nothing-lost", 409, "No record is missing"

    def __init__(self) -> None:
        super().__init__("Nothing was acknowledged: no record is known to be missing. GET /readyz shows what is wrong.")
