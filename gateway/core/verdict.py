"""What policies are asked and what they answer: allow, hold or deny, with the reason a reader can trust.

A call is held exactly when it is denied only by forbids that name an approval, and would be allowed without
them (design section 6). Nothing here knows Cedar; `gateway.adapters.cedar` computes these values.
"""

from collections.abc import Mapping
from typing import Literal

from gateway.core.value import keyword_value, positional_value

Decision = Literal["allow", "hold", "deny"]


@positional_value
class Requirement:
    """One forbid that a group's approval lifts. A changed policy text is another requirement."""

    group: str
    policy: str
    """The forbid's `@id`."""
    text: str
    """SHA-256 of the forbid's text, hex."""
    urgent: bool = False
    """Its reminders and escalations come at any hour (`@urgent`)."""


@positional_value
class Lifted:
    """A forbid that a standing grant met, so that nobody was asked."""

    grant: str
    policy: str
    """The forbid's `@id`."""
    by: tuple[str, ...]
    """Who gave the grant."""


@keyword_value
class Question:
    """One authorization request, in the words of the schema generated from routes.yaml."""

    agent: str
    action: str
    """Full tool name."""
    resource_type: str
    """Empty: the system itself is the resource."""
    resource_id: str
    system: str
    input: Mapping[str, object]
    """Typed arguments and declared headers. The only place where what an agent wrote appears."""
    call: Mapping[str, object]
    """What the gateway knows: method, key_given, run, user, source_ip, now, attempt."""


@keyword_value
class Verdict:
    """The answer to one question."""

    decision: Decision
    policies: tuple[str, ...] = ()
    """`@id`s of the policies that determined it."""
    reasons: tuple[str, ...] = ()
    """Their `@reason` sentences, for people and models. Never an engine's error text: those echo arguments."""
    requirements: tuple[Requirement, ...] = ()
    """Of a hold: what is still unmet. Of an allow: what approvals lifted."""
    shadow: tuple[str, ...] = ()
    """`@id`s of `@shadow` forbids that matched, or permits that did not matter; recorded, never enforced."""
    code: str = ""
    """Of a deny that no policy decided: `policy-error`, `policies-unavailable`, `no-permit`,
    `agent-suspended`, `unknown-tool`, `unmanned` and the like."""
    granted: tuple[Lifted, ...] = ()
    """Which of what is lifted standing grants lifted, and not votes."""
