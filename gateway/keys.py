"""Secrets made by `gateway key new`: for an agent, a person, a webhook or the ledger. Nothing of them is kept here."""

import base64
import hashlib
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.config.ledger import checked_origin
from gateway.config.reading import NAME_FORMS, PARTY_NAME
from gateway.core.secret_format import PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX
from gateway.ledger.note import Signer

KINDS = ("agent", "person", "webhook", "webhook-pair", "ledger")
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
        return NewKey(_text(PREFIX, secrets.token_bytes(WEBHOOK_BYTES)), before, "")
    if kind == "webhook-pair":
        return _pair()
    if kind not in KINDS:
        raise NoSuchKey(f"{kind!r} is not something that has a key; choose {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if not name:
        raise NoSuchKey(f"say whose it is: gateway key new {kind} NAME")
    if kind == "ledger":
        return _ledger(name)
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


def _pair() -> NewKey:
    """For one direction: whoever signs keeps the private key, whoever verifies can never sign."""
    private = Ed25519PrivateKey.generate()
    public = _text(PUBLIC_PREFIX, private.public_key().public_bytes_raw())
    return NewKey(
        _text(PRIVATE_PREFIX, private.private_bytes_raw()),
        "The private key of a webhook (v1a), shown only now; it stays with the side that signs:",
        f"\nThe public key, for the side that verifies:\n\n  {public}",
    )


def _ledger(name: str) -> NewKey:
    """What signs the sealed record, for hosts that share a journal."""
    try:
        signer = Signer.new(checked_origin(name))
    except ValueError as error:
        raise NoSuchKey(f"the origin of a ledger {error}") from error
    return NewKey(
        signer.text(),
        "The signing key of the ledger, shown only now; put it where `ledger.key` of routes.yaml looks for it:",
        f"\nThe verifier key, for auditors:\n\n  {signer.verifier}",
    )


def _text(prefix: str, value: bytes) -> str:
    return prefix + base64.b64encode(value).decode()
