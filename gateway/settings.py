"""Environment -> one frozen Settings: what differs between deployments and is neither a route nor a policy.

Every setting is a variable GATEWAY_<FIELD>. Everything that is wrong is said at once, each sentence with the variable
and its value (a password inside a URL excepted). A variable that starts like ours and is not one of them is a mistake,
because a misspelt limit would otherwise silently not be a limit; so is an empty one, because an empty
GATEWAY_REDIS_URL would silently start a private journal beside the real one. Nothing here opens a connection.

The standard OTEL_* variables belong to the exporter, and secrets are named by routes.yaml: neither is read here.
"""

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import unquote, urlsplit

PREFIX = "GATEWAY_"

Durability = Literal["may-lose-nothing", "may-lose-one-second", "may-lose-everything-unverified"]
LogLevel = Literal["debug", "info", "warning", "error"]

REDIS_SCHEMES = ("redis", "rediss", "redis+cluster")
# What a sentinel URL lists: host:port,host:port
SENTINELS = re.compile(r"[^:,@/]+:\d{1,5}(,[^:,@/]+:\d{1,5})*")

MIB = 1024 * 1024

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
class MailServer:
    """Where e-mail is handed over (GATEWAY_SMTP_URL)."""

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    """From the first byte, by STARTTLS before anything is said, or not at all."""
    user: str = ""
    password: str = field(default="", repr=False)


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
    if sentences:
        raise SettingsMistake(sentences)
    return Settings(**values)


def missing_for_mail(environ: Mapping[str, str]) -> list[str]:
    """The variables that notices by e-mail need and that are not set."""
    return [name for name in ("GATEWAY_SMTP_URL", "GATEWAY_EMAIL_FROM") if not environ.get(name)]


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


# --- One reader per setting: text -> value, or ValueError with what was expected ----------------------------------


def _redis_url(text: str) -> str:
    expected = (
        "a URL: redis://host:6379/0, rediss://user:password@host:6379/0 (TLS), unix:///path/to/socket, "
        "redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379"
    )
    try:
        url = urlsplit(text)
        if url.scheme == "unix":
            complete = bool(url.path.strip("/"))
        elif url.scheme == "redis+sentinel":
            complete = bool(SENTINELS.fullmatch(url.netloc.rpartition("@")[2])) and bool(url.path.strip("/"))
        else:
            complete = url.scheme in REDIS_SCHEMES and bool(url.hostname) and url.port != 0
    except ValueError as error:
        raise ValueError(expected) from error
    if not complete:
        raise ValueError(expected)
    return text


def _control_url(text: str) -> str:
    expected = "the control plane's address, such as https://gateway.acme.example:8081, without path or query"
    try:
        url = urlsplit(text)
        complete = bool(url.hostname) and url.port != 0
    except ValueError as error:
        raise ValueError(expected) from error
    extra = url.path.strip("/") or url.query or url.fragment or url.username is not None
    if url.scheme not in {"http", "https"} or not complete or extra:
        raise ValueError(expected)
    return text.rstrip("/")


def _mail_server(text: str) -> MailServer:
    expected = "smtp://user:password@host:587 (STARTTLS), smtps://user:password@host:465 (TLS) or smtp+plain://host:25"
    kinds: Mapping[str, tuple[Literal["tls", "starttls", "none"], int]] = {
        "smtp": ("starttls", 587), "smtps": ("tls", 465), "smtp+plain": ("none", 25),
    }  # fmt: skip
    try:
        url = urlsplit(text)
        security, usual = kinds[url.scheme]
        port = url.port or usual
    except (ValueError, KeyError) as error:
        raise ValueError(expected) from error
    extra = url.path.strip("/") or url.query or url.fragment
    if not url.hostname or extra or url.port == 0 or (url.password and not url.username):
        raise ValueError(expected)
    if security == "none" and url.username:
        raise ValueError("smtp:// or smtps:// if it has a user: a password is never sent without TLS")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return MailServer(host=url.hostname, port=port, security=security, user=user, password=password)


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+", text):
        raise ValueError("an e-mail address alone, such as gateway@acme.example")
    return text


def _slack_api(text: str) -> str:
    expected = "the address of Slack's Web API, such as https://slack.com/api"
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise ValueError(expected) from error
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise ValueError(expected)
    return text.rstrip("/")


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12})\s*(B|KiB|MiB|GiB)?", text.strip(), re.ASCII)
    if not found or int(found[1]) == 0:
        raise ValueError("a size in bytes such as 1048576, or with a unit: 512KiB, 10MiB")
    return int(found[1]) * {"B": 1, "KiB": 1024, "MiB": MIB, "GiB": 1024 * MIB}[found[2] or "B"]


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text.strip(), re.ASCII):
        raise ValueError("a whole number, 0 or more")
    return int(text)


def _number(text: str) -> float:
    expected = "a number, 0 or more"
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(expected) from error
    if not math.isfinite(number) or number < 0:
        raise ValueError(expected)
    return number


def _existing_file(text: str) -> Path:
    path = Path(text)
    if not text.strip() or not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("the path of a file that exists and can be read")
    return path


def _one_of(values: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError("one of " + ", ".join(values))
        return text

    return read


READERS: Mapping[str, Callable[[str], object]] = {
    "redis_url": _redis_url,
    "redis_durability": _one_of(cast("tuple[str, ...]", get_args(Durability))),
    "redis_replicas": _count,
    "control_url": _control_url,
    "smtp_url": _mail_server,
    "smtp_password_file": _existing_file,
    "email_from": _email,
    "slack_api": _slack_api,
    "body_limit": _size,
    "held_body_limit": _size,
    "kept_answer_limit": _size,
    "ca_file": _existing_file,
    "log_level": _one_of(cast("tuple[str, ...]", get_args(LogLevel))),
    "rate_limit": _number,
    "concurrency_limit": _count,
    "shutdown_grace": _number,
}
