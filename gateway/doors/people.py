"""Who is at the control plane: a person with a token, or an approver's system with a signature. Never an agent.

Tokens are compared as SHA-256 in constant time, and an agent's gateway key is refused by name, so that a key that
leaked into the wrong place tells its owner.
"""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.requests import Request

from gateway import control_errors
from gateway.adapters.secrets import Secrets
from gateway.core.routes import Group, Person, Routes, Webhook
from gateway.ports import SecretMissing
from gateway.wire import webhook


def person(request: Request, routes: Routes, roles: Sequence[str] = ()) -> Person:
    """The person whose token the request carries, having one of `roles` (empty: any). Raises PersonToken or Role."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise control_errors.PersonToken(presented=False)
    _, found = person_of(token.strip(), routes)
    if roles and not found.roles.intersection(roles):
        raise control_errors.RoleMissing(found.name, roles)
    return found


def person_of(token: str, routes: Routes) -> tuple[str, Person]:
    """SHA-256 of the token, and whose it is. Raises PersonToken or AgentAtControlPlane."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    for agent in routes.agents.values():
        if any(hmac.compare_digest(digest, key) for key in agent.keys):
            raise control_errors.AgentAtControlPlane(agent.name)
    found = None
    for candidate in routes.people.values():
        if any(hmac.compare_digest(digest, known) for known in candidate.tokens):
            found = candidate
    if found is None:
        raise control_errors.PersonToken(presented=True)
    return digest, found


def signed_by(request: Request, body: bytes, group: Group, secrets: Secrets, now: int) -> str:
    """The webhook-id of a message that a holder of one of the group's callback secrets signed. Raises BadSignature."""
    known: list[str] = []
    for channel in group.channels:
        if isinstance(channel, Webhook) and channel.callback_secret is not None:
            try:
                known += secrets.read(channel.callback_secret).split()
            except SecretMissing:
                continue
    try:
        message, _ = webhook.verify(request.headers, body, known, now)
    except webhook.BadSignature as error:
        raise control_errors.BadSignature(str(error)) from error
    except ValueError as error:
        raise control_errors.BadSignature("the gateway's callback secret of this group is not usable") from error
    return message
