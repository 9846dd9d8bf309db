"""What Slack sends when somebody presses a button: proof that it comes from Slack, and what was pressed.

Slack signs the raw form body with the app's signing secret (v0: HMAC-SHA-256 over `v0:{timestamp}:{body}`). Whatever a
stranger sends, `verify` raises `BadSignature` and `pressed` raises `NotAPress`, and nothing else. This file must never
read a clock, and never put a secret into an exception.

The signature authenticates Slack, which vouches for the user and the workspace. Whoever calls this must compare both
with routes.yaml, and the question with what is asked now: a button's value is only what a card once said.
"""

import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson

from gateway.wire.slack import APPROVE, REJECT
from gateway.wire.webhook import BadSignature

TOLERANCE_SECONDS = 300
"""By how much Slack's clock may differ from ours; what Slack advises."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class NotAPress(Exception):
    """The body is from Slack, but no press of one of our buttons. Says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Somebody pressed a button of a card."""

    approve: bool
    call: str
    group: str
    fingerprint: str
    """What the card showed."""
    workspace: str
    """In which the card stands."""
    home: str
    """The workspace of the user, who in a shared channel may be a stranger."""
    user: str
    message: str
    """Names this press: a replay has the same."""


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: int) -> None:
    """Raises BadSignature unless a holder of the signing secret signed exactly this body, within five minutes.

    `headers` has lower-case names; `now` is in seconds.
    """
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not (stamp and signature):
        raise BadSignature("x-slack-request-timestamp and x-slack-signature are both needed")
    if not _TIMESTAMP.fullmatch(stamp):
        raise BadSignature("x-slack-request-timestamp must be seconds since the epoch, in digits")
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        raise BadSignature(
            f"x-slack-request-timestamp differs from this gateway's clock by more than {TOLERANCE_SECONDS} seconds"
        )
    if not hmac.compare_digest(_mac(secret, stamp, body), _offered(signature)):
        raise BadSignature("x-slack-signature was not made with the signing secret of this channel's Slack app")


def pressed(body: bytes) -> Press | None:
    """What was pressed; None for a press that needs no answer, such as that of a link. Raises NotAPress."""
    payload = _payload(body)
    if payload.get("type") != "block_actions":
        raise NotAPress("only presses of buttons (block_actions) are understood here")
    actions = payload.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else None
    if not isinstance(first, dict) or (action := first.get("action_id")) not in (APPROVE, REJECT):
        return None
    call, group, fingerprint = _question(first.get("value"))
    found = {
        "workspace": _member(payload, "team", "id"),
        "user": _member(payload, "user", "id"),
        "trigger": payload.get("trigger_id"),
    }
    missing = [name for name, value in found.items() if not isinstance(value, str) or not value]
    if missing:
        raise NotAPress(f"the payload does not say its {missing[0]}")
    home = _member(payload, "user", "team_id")
    return Press(
        approve=action == APPROVE, call=call, group=group, fingerprint=fingerprint, workspace=found["workspace"],
        home=home if isinstance(home, str) and home else found["workspace"], user=found["user"],
        message=f"slack:{found['trigger']}",
    )  # fmt: skip


def _payload(body: bytes) -> dict[str, Any]:
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=8)
    except ValueError as error:
        raise NotAPress("the body must be a form with the field `payload`") from error
    texts = fields.get("payload", [])
    if len(texts) != 1:
        raise NotAPress("the body must be a form with the field `payload`, once")
    payload = _json(texts[0])
    if not isinstance(payload, dict):
        raise NotAPress("`payload` must be a JSON object")
    return payload


def _question(value: Any) -> Sequence[str]:
    """Call, group and fingerprint, as the card's button carries them."""
    parts = _json(value) if isinstance(value, str) else None
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str) for part in parts):
        raise NotAPress("the button is not one of this gateway's")
    return parts


def _json(text: str) -> Any:
    """The value, or None: it is compared with what it must be, whatever it is."""
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _member(payload: Mapping[str, Any], name: str, member: str) -> Any:
    found = payload.get(name)
    return found.get(member) if isinstance(found, dict) else None


def _mac(secret: str, stamp: str, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), f"v0:{stamp}:".encode() + body, "sha256")


def _offered(signature: str) -> bytes:
    version, _, text = signature.partition("=")
    try:
        return binascii.unhexlify(text.encode("ascii")) if version == "v0" else b""
    except (binascii.Error, UnicodeEncodeError):
        return b""
