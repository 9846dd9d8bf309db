"""From the text of one environment variable to a value, or ValueError with what was expected. One reader per setting.

What a setting means, and how its mistakes are told, is in `gateway.settings`.
"""

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote, urlsplit

Durability = Literal["may-lose-nothing", "may-lose-one-second", "may-lose-everything-unverified"]
LogLevel = Literal["debug", "info", "warning", "error"]

REDIS_SCHEMES = ("redis", "rediss", "redis+cluster")
# What a sentinel URL lists: host:port,host:port
SENTINELS = re.compile(r"[^:,@/]+:\d{1,5}(,[^:,@/]+:\d{1,5})*")

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where e-mail is handed over (GATEWAY_SMTP_URL)."""

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    """From the first byte, by STARTTLS before anything is said, or not at all."""
    user: str = ""
    password: str = field(default="", repr=False)


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


def _issuer(text: str) -> str:
    expected = "the issuer exactly as the provider writes it, such as https://login.acme.example/realms/people"
    try:
        url = urlsplit(text)
        here = url.hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError as error:
        raise ValueError(expected) from error
    if not url.hostname or url.query or url.fragment or not (url.scheme == "https" or (url.scheme == "http" and here)):
        raise ValueError(expected)
    return text


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(each)) for each in re.split(r"[\s,]+", text.strip()))
    except ValueError as error:
        raise ValueError("addresses or networks, such as 10.0.0.5 or 10.0.0.0/24, with commas between") from error


def _text(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise ValueError("text without spaces around it")
    return text


def _secret(text: str) -> str:
    if not text.strip():
        raise ValueError("the secret itself")
    return text


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
    "payload_keys": _secret,
    "payload_keys_file": _existing_file,
    "control_url": _control_url,
    "smtp_url": _mail_server,
    "smtp_password_file": _existing_file,
    "email_from": _email,
    "slack_api": _slack_api,
    "trusted_proxies": _networks,
    "oidc_issuer": _issuer,
    "oidc_client_id": _text,
    "oidc_client_secret": _secret,
    "oidc_client_secret_file": _existing_file,
    "body_limit": _size,
    "held_body_limit": _size,
    "kept_answer_limit": _size,
    "ca_file": _existing_file,
    "log_level": _one_of(cast("tuple[str, ...]", get_args(LogLevel))),
    "rate_limit": _number,
    "concurrency_limit": _count,
    "shutdown_grace": _number,
}
