"""Presses of buttons: genuine ones are read, and everything else is refused with the same two exceptions."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.slack import APPROVE, OPEN, REJECT
from gateway.wire.slack_interaction import NotAPress, Press, pressed, verify
from gateway.wire.webhook import BadSignature

SECRET, NOW = "8f742231b10e8888abcd99yyyzzz85a5", 1531420618
DOCUMENTED = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
"""The example of Slack's own documentation, with the signature that it gives."""
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def headers(stamp: Any = NOW, signature: str = SIGNATURE) -> dict[str, str]:
    return {"x-slack-request-timestamp": str(stamp), "x-slack-signature": signature}


def test_the_documented_example_verifies():
    verify(headers(), DOCUMENTED, SECRET, NOW)


@pytest.mark.parametrize(
    ("sent", "body", "secret", "now"),
    [
        (headers(), DOCUMENTED + b" ", SECRET, NOW),
        (headers(), DOCUMENTED, SECRET + "x", NOW),
        (headers(NOW + 1), DOCUMENTED, SECRET, NOW),
        (headers(signature=SIGNATURE.replace("v0", "v1")), DOCUMENTED, SECRET, NOW),
        (headers(signature=SIGNATURE[:-2]), DOCUMENTED, SECRET, NOW),
        (headers(), DOCUMENTED, SECRET, NOW + 301),
        (headers(), DOCUMENTED, SECRET, NOW - 301),
        ({}, DOCUMENTED, SECRET, NOW),
    ],
)
def test_forged_or_old_is_refused(sent, body, secret, now):
    with pytest.raises(BadSignature) as caught:
        verify(sent, body, secret, now)
    assert SECRET not in str(caught.value)


def test_five_minutes_are_tolerated():
    verify(headers(), DOCUMENTED, SECRET, NOW + 300)


garbage = st.one_of(st.text(), st.just(str(NOW)), st.just(SIGNATURE), st.text("v0=a1 "))


@given(garbage, garbage, st.binary())
def test_garbage_is_a_bad_signature_and_nothing_else(stamp, signature, body):
    mac = (
        "v0=" + hmac.new(SECRET.encode(), f"v0:{stamp}:".encode("utf-8", "replace") + body, hashlib.sha256).hexdigest()
    )
    if signature == mac:
        return
    with pytest.raises(BadSignature):
        verify(headers(stamp, signature), body, SECRET, NOW)


# --- What was pressed -------------------------------------------------------------------------------------------------


def payload(action: str = APPROVE, **changes: Any) -> dict[str, Any]:
    value = json.dumps(["call-1", "finance", "f" * 64])
    return {
        "type": "block_actions",
        "team": {"id": "T1", "domain": "acme"},
        "user": {"id": "U1", "team_id": "T1", "name": "ann"},
        "trigger_id": "398738663015.47445629121",
        "actions": [{"action_id": action, "type": "button", "value": value}],
    } | changes


def form(value: Any) -> bytes:
    return urlencode({"payload": value if isinstance(value, str) else json.dumps(value)}).encode()


def test_a_press_says_who_where_what_and_which_question():
    assert pressed(form(payload())) == Press(
        approve=True, call="call-1", group="finance", fingerprint="f" * 64, workspace="T1", home="T1", user="U1",
        message="slack:398738663015.47445629121",
    )  # fmt: skip
    rejected = pressed(form(payload(REJECT, user={"id": "U1", "team_id": "T9"})))
    assert rejected is not None and not rejected.approve and rejected.home == "T9"


@pytest.mark.parametrize("actions", [[], None, [{"action_id": OPEN}], [{"action_id": "other"}], ["x"]])
def test_the_press_of_a_link_needs_nothing(actions):
    assert pressed(form(payload(actions=actions))) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"\xff",
        b"a=b",
        b"payload=%7B%7D&payload=%7B%7D",
        form("garbage"),
        form("[1]"),
        form({"type": "view_submission"}),
        form(payload(team=None)),
        form(payload(user={"id": 7})),
        form(payload(trigger_id="")),
        form(payload(actions=[{"action_id": APPROVE, "value": "x"}])),
        form(payload(actions=[{"action_id": APPROVE, "value": '["a", "b"]'}])),
        form(payload(actions=[{"action_id": APPROVE, "value": '["a", "b", 1]'}])),
        form(payload(actions=[{"action_id": APPROVE}])),
    ],
)
def test_what_is_no_press_of_ours_is_refused_with_a_sentence(body):
    with pytest.raises(NotAPress, match=r"\w+ \w+"):
        pressed(body)


@given(st.binary())
def test_no_body_raises_anything_else(body):
    with pytest.raises(NotAPress):
        pressed(body)
