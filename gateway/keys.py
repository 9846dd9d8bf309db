"""Secrets made by `gateway key new`: one for an agent, a person or a webhook. Nothing of them is kept here."""

import base64
import hashlib
import secrets
from dataclasses import dataclass

from gateway.config.reading import NAME_FORMS, PARTY_NAME
from gateway.core.secret_format import PREFIX

KINDS = ("agent", "person", "webhook")
WEBHOOK_BYTES = 32
"""Of a webhook's secret: as long as the SHA-256 that it signs with."""


class NoSuchKey(Exception):
    """A sentence about what is wrong with what was asked for."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A secret, and what a person has to know beside it."""

    secret: str
    before: str
    after: str


def new_key(kind: str, name: str) -> NewKey:
    """A fresh secret for whom or what `kind` says. Raises NoSuchKey."""
    if kind == "webhook":
        before = "The secret of a webhook, shown only now; give it to the other side too:"
        return NewKey(PREFIX + base64.b64encode(secrets.token_bytes(WEBHOOK_BYTES)).decode(), before, "")
    if kind not in KINDS:
        raise NoSuchKey(f"{kind!r} is not something that has a key; choose agent, person or webhook")
    if not name:
        raise NoSuchKey(f"say whose it is: gateway key new {kind} NAME")
    if not PARTY_NAME.fullmatch(name):
        raise NoSuchKey(f"{name!r} cannot be a name in routes.yaml: {NAME_FORMS[PARTY_NAME]}")
    secret = ("gk_" if kind == "agent" else "gp_") + secrets.token_urlsafe(32)
    place = f"agents.{name}.keys" if kind == "agent" else f"people.{name}.tokens"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    what = "key" if kind == "agent" else "token"
    return NewKey(
        secret,
        f"The {what} of {name}, shown only now; keep it secret:",
        f'\nAdd its digest to routes.yaml under {place}:\n\n  - {{sha256: "{digest}"}}',
    )
