"""Environment -> one frozen Settings: what differs between deployments and is neither a route nor a policy.

Every setting is a variable GATEWAY_<FIELD>. Everything that is wrong is said at once, each sentence with the variable
and its value (a password inside a URL excepted). A variable that starts like ours and is not one of them is a mistake,
because a misspelt limit would otherwise silently not be a limit; so is an empty one, because an empty
GATEWAY_REDIS_URL would silently start a private journal beside the real one. Nothing here opens a connection.

The standard OTEL_* variables belong to the exporter, and secrets are named by routes.yaml: neither is read here.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from gateway.setting_readers import MIB, READERS, Durability, LogLevel, MailServer

PREFIX = "GATEWAY_"

# Written by our own supervisor for its children (gateway.duty), never by a person.
INTERNAL = frozenset({"GATEWAY_CHILD"})

# A person's, for `gateway approvals`; it may stand in a shell that also runs other commands.
PERSONAL = frozenset({"GATEWAY_TOKEN"})

# Kubernetes and docker links put these into every pod beside a service whose name begins with "gateway".
SERVICE_LINK = re.compile(
    r"GATEWAY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)", re.ASCII
)


class SettingsMistake(Exception):
    """One sentence per line for everything that is wrong with the environment."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process. The default is what a deployment that sets nothing gets."""

    redis_url: str = ""
    """GATEWAY_REDIS_URL: the journal's Redis or Valkey, standalone, Sentinel or Cluster. Default: a private
    server in the data directory."""
    redis_durability: Durability = "may-lose-nothing"
    """GATEWAY_REDIS_DURABILITY: the loss that this deployment accepts if Redis dies. `may-lose-nothing` (the default)
    demands fsync always; `may-lose-one-second` accepts fsync every second, `may-lose-everything-unverified`
    also a server whose configuration cannot be read."""
    redis_replicas: int = 0
    """GATEWAY_REDIS_REPLICAS: how many replicas must have the claim of an unrepeatable effect on their disk before
    it is sent (`WAITAOF 1 N`). Default 0: there are no replicas."""
    payload_keys: str = dataclass_field(default="", repr=False)
    """GATEWAY_PAYLOAD_KEYS: the keys that payloads are encrypted with, base64, with spaces between; the first encrypts,
    all decrypt. Default: those in `payload.keys` in the data directory, which is made at the first start."""
    payload_keys_file: Path | None = None
    """GATEWAY_PAYLOAD_KEYS_FILE: a file that holds them instead, one a line. Default: as above."""
    control_url: str = ""
    """GATEWAY_CONTROL_URL: the control plane's address as approvers reach it, for callback links. Default: the
    control listener's own address."""
    smtp_url: MailServer | None = None
    """GATEWAY_SMTP_URL: where notices by e-mail are handed over. `smtp://user:password@host:587` demands STARTTLS,
    `smtps://host:465` is TLS from the first byte, `smtp+plain://host:25` is neither and takes no password. Default: no
    e-mail."""
    smtp_password_file: Path | None = None
    """GATEWAY_SMTP_PASSWORD_FILE: a file with the password, read at every use. Default: the password in the URL."""
    email_from: str = ""
    """GATEWAY_EMAIL_FROM: the sender's address of notices by e-mail. Default: none, so no e-mail."""
    slack_api: str = "https://slack.com/api"
    """GATEWAY_SLACK_API: the address of Slack's Web API, for tests and for proxies. Default: `https://slack.com/api`."""
    trusted_proxies: tuple[str, ...] = ()
    """GATEWAY_TRUSTED_PROXIES: addresses or networks of the proxies before the control port, whose `X-Forwarded-For`
    says who signs in. Default: none, and whoever is connected is who it is."""
    oidc_issuer: str = ""
    """GATEWAY_OIDC_ISSUER: the identity provider at which people may sign in to the page. Default: tokens only."""
    oidc_client_id: str = ""
    """GATEWAY_OIDC_CLIENT_ID: what the provider calls this gateway. No default: needed with the issuer."""
    oidc_client_secret: str = dataclass_field(default="", repr=False)
    """GATEWAY_OIDC_CLIENT_SECRET: the client's secret. Default: none, for a public client."""
    oidc_client_secret_file: Path | None = None
    """GATEWAY_OIDC_CLIENT_SECRET_FILE: a file that holds it instead, read at each sign-in. Default: none."""
    body_limit: int = 10 * MIB
    """GATEWAY_BODY_LIMIT: largest request body, bytes; above it 413. Default 10MiB."""
    held_body_limit: int = MIB
    """GATEWAY_HELD_BODY_LIMIT: largest request body of a call that is held, bytes; above it 413. Default 1MiB."""
    kept_answer_limit: int = MIB
    """GATEWAY_KEPT_ANSWER_LIMIT: largest answer kept for a replay, bytes; a larger one is delivered but not kept.
    Default 1MiB."""
    ca_file: Path | None = None
    """GATEWAY_CA_FILE: PEM file of certificate authorities for systems and webhooks. Default: the built-in ones."""
    log_level: LogLevel = "info"
    """GATEWAY_LOG_LEVEL: `debug`, `info`, `warning` or `error`. Verdicts and outcomes are printed at every level."""
    rate_limit: float = 0.0
    """GATEWAY_RATE_LIMIT: calls per second that one agent may make at one worker; above it 429. Default 0: no limit."""
    concurrency_limit: int = 128
    """GATEWAY_CONCURRENCY_LIMIT: requests of one agent that may be under way at one worker, those that wait for people
    included; above it 429. Default 128."""
    shutdown_grace: float = 25.0
    """GATEWAY_SHUTDOWN_GRACE: seconds that running calls get to end after SIGTERM. Default 25, five less than what
    Kubernetes gives a pod."""


def read_settings(environ: Mapping[str, str], *, ignore: frozenset[str] = frozenset()) -> Settings:
    """The settings of this environment. Raises SettingsMistake with all sentences.

    `ignore` names GATEWAY_* variables that are somebody else's: secrets and values that routes.yaml reads by name.
    """
    values: dict[str, Any] = {}
    sentences: list[str] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in ignore or name in INTERNAL | PERSONAL:
            continue
        reader = READERS.get(name.removeprefix(PREFIX).lower()) if name.isupper() else None
        if reader is None:
            if not SERVICE_LINK.fullmatch(name):
                sentences.append(unknown(name))
            continue
        try:
            values[name.removeprefix(PREFIX).lower()] = reader(environ[name])
        except ValueError as error:
            sentences.append(_refused(name, environ[name], str(error)))
    if not sentences:
        sentences = _incomplete(values)
    if sentences:
        raise SettingsMistake(sentences)
    return Settings(**values)


def missing_for_mail(environ: Mapping[str, str]) -> list[str]:
    """The variables that notices by e-mail need and that are not set."""
    return [name for name in ("GATEWAY_SMTP_URL", "GATEWAY_EMAIL_FROM") if not environ.get(name)]


def _incomplete(values: Mapping[str, Any]) -> list[str]:
    """What belongs together and is not there together."""
    of_oidc = [name for name in values if name.startswith("oidc_")]
    missing = [name for name in ("oidc_issuer", "oidc_client_id") if name not in values]
    found = [f"{variable(of_oidc[0])} is set, so set {variable(name)} too." for name in missing if of_oidc]
    if "oidc_client_secret" in values and "oidc_client_secret_file" in values:
        found.append("GATEWAY_OIDC_CLIENT_SECRET and GATEWAY_OIDC_CLIENT_SECRET_FILE are both set: remove one.")
    if "payload_keys" in values and "payload_keys_file" in values:
        found.append("GATEWAY_PAYLOAD_KEYS and GATEWAY_PAYLOAD_KEYS_FILE are both set: remove one.")
    return found


def variable(field: str) -> str:
    """The variable of a field of Settings."""
    return PREFIX + field.upper()


def unknown(name: str) -> str:
    """The sentence about a variable that looks like a setting and is none, with the nearest one."""
    near = difflib.get_close_matches(name.upper(), [variable(field.name) for field in fields(Settings)], n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/operations.md lists all settings."
    return f"{name} is not a setting: remove it, or {hint}" if near else f"{name} is not a setting: remove it; {hint}"


def _refused(name: str, value: str, expected: str) -> str:
    if not value.strip():
        return f"{name} is set but empty: give it {expected}, or remove the variable to get the default."
    return f"{name} is {_without_password(value)!r}, but must be {expected}."


def _without_password(value: str) -> str:
    return re.sub(r"(//[^/@:]*):.*@", r"\1:***@", value)
