"""The kinds of values a field of routes.yaml can have, each with its check.

A validator raises ValueError with a predicate, because the sentence is put together as "`field` " + predicate. It
must never put the text of something that may be a secret into it. Values that may be `{env: NAME}` are resolved
here, from the environment that is the validation's context, so that the rest sees text.
"""

import re
from collections.abc import Hashable, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from gateway.config import addresses, durations
from gateway.core import previews, summaries

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DIGEST = re.compile(r"[0-9a-fA-F]{64}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
MASK_PATH = re.compile(r"[^.\[\]\s]+(\[\])*(\.[^.\[\]\s]+(\[\])*)*")
VERSION = 1
MONTH = 30 * 24 * 3600.0
LEAST_STATUS, GREATEST_STATUS = 400, 599
"""`not_acted` and `doubtful` are about failures; any other status is the system's word that it acted."""

Entry = TypeVar("Entry", bound=Hashable)


def _resolved(value: object, info: ValidationInfo) -> str:
    """Text as it stands, or the value of the environment variable in `{env: NAME}`."""
    if isinstance(value, str):
        return value
    name = value.get("env") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(name, str) or not ENVIRONMENT_NAME.fullmatch(name):
        raise ValueError("must be text, or {env: NAME} to take it from the environment")
    environ: Mapping[str, str] = info.context or {}
    if not environ.get(name):
        raise ValueError(f"takes its value from the environment variable {name}, which is not set; set it")
    return environ[name]


def unique(entries: list[Entry]) -> list[Entry]:
    if repeated := [str(entry) for entry in entries if entries.count(entry) > 1]:
        raise ValueError(f"must not list `{repeated[0]}` twice")
    return entries


def _text(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be text that can be printed, and not empty")
    return value


def _summary(value: object) -> summaries.Summary:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("must be one line of text, such as Refund {amount|money:usd} on {charge}")
    return summaries.parse(value)


def _mask_path(value: object) -> str:
    if not isinstance(value, str) or not MASK_PATH.fullmatch(value):
        raise ValueError("must be the way to a value, such as card.number or items[].secret")
    return value


def _shown(value: object) -> summaries.Slot:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("must be the name of a field, such as amount, customer.name or header:etag")
    return previews.field(value)


def _digest(value: str) -> str:
    if not DIGEST.fullmatch(value):
        raise ValueError("must be a SHA-256 as 64 hexadecimal digits; `gateway key new` prints one")
    return value.lower()


def _environment_name(value: str) -> str:
    if not ENVIRONMENT_NAME.fullmatch(value):
        raise ValueError("must be the name of an environment variable, such as STRIPE_API_KEY, and not a secret itself")
    return value


def _switch(value: object) -> bool:
    """`off` and `on` are text in our YAML; true and false mean the same."""
    known = {"off": False, "on": True, False: False, True: True}
    if isinstance(value, bool | str) and value in known:
        return known[value]
    raise ValueError("must be on or off")


def _version(value: object) -> int:
    if type(value) is not int or value != VERSION:
        raise ValueError(f"must be {VERSION}: the only version of this file that this gateway reads")
    return value


def _email(value: str) -> str:
    if not EMAIL.fullmatch(value):
        raise ValueError("must be an address such as name@example.com")
    return value


def _slack_id(letters: str, example: str) -> AfterValidator:
    """Ids, not names: anybody may rename a channel or call themselves like an approver."""
    form = re.compile(rf"[{letters}][A-Z0-9]{{2,30}}")

    def checked(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"must be an id of Slack such as {example}, not a name")
        return value

    return AfterValidator(checked)


def _recipients(value: object) -> tuple[str, ...]:
    """Names of people; empty for all members of the group."""
    if value == "members":
        return ()
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise ValueError("must be members, or a list of people such as [controller, cfo]")
    return tuple(unique(value))


def _user_name(value: str) -> str:
    if ":" in value or not value.isprintable():
        raise ValueError("must be text without a colon: basic authentication cannot carry one")
    return value


def _prefix(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be plain ASCII text, such as `token `")
    return value


def _host(value: str) -> str:
    if ":" in value or "/" in value:
        raise ValueError("must list host names alone, without scheme, port and path, such as files.example.com")
    return addresses.checked_host(value.lower())


def _a_month(seconds: float) -> float:
    if seconds > MONTH:
        raise ValueError("must be at most 30d: what is to hold for longer belongs into a policy")
    return seconds


def _upstream(value: object, info: ValidationInfo) -> addresses.Upstream:
    return addresses.upstream(_resolved(value, info))


def _webhook(value: object, info: ValidationInfo) -> str:
    return addresses.webhook(_resolved(value, info))


def _listener(value: object, info: ValidationInfo) -> str:
    return addresses.listener(_resolved(value, info))


Duration = Annotated[float, BeforeValidator(durations.positive_seconds)]
Wait = Annotated[float, BeforeValidator(durations.seconds)]
"""A duration that may be zero."""
Longest = Annotated[float, BeforeValidator(durations.positive_seconds), AfterValidator(_a_month)]
"""Of a standing grant."""
PerTime = Annotated[tuple[int, float] | None, BeforeValidator(durations.quota)]
"""How many, and in how many seconds; None: any number."""
Size = Annotated[int | None, BeforeValidator(durations.size)]
"""Bytes; None: any number."""
Text = Annotated[str, AfterValidator(_text)]
Summary = Annotated[summaries.Summary, BeforeValidator(_summary)]
MaskPath = Annotated[str, BeforeValidator(_mask_path)]
Shown = Annotated[summaries.Slot, BeforeValidator(_shown)]
ResolvedText = Annotated[Text, BeforeValidator(_resolved)]
Status = Annotated[int, Field(ge=LEAST_STATUS, le=GREATEST_STATUS)]
Statuses = Annotated[list[Status], AfterValidator(unique)]
Names = Annotated[list[Text], AfterValidator(unique)]
Digest = Annotated[str, AfterValidator(_digest)]
Version = Annotated[int, BeforeValidator(_version)]
Email = Annotated[str, AfterValidator(_email)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Host = Annotated[str, AfterValidator(_host)]
SlackChannel = Annotated[str, _slack_id("CGD", "C024BE91L")]
SlackUser = Annotated[str, _slack_id("UW", "U023BECGF")]
SlackWorkspace = Annotated[str, _slack_id("TE", "T024BE7LD")]
Recipients = Annotated[tuple[str, ...], BeforeValidator(_recipients)]
UserName = Annotated[str, AfterValidator(_user_name)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Switch = Annotated[bool, BeforeValidator(_switch)]
UpstreamAddress = Annotated[addresses.Upstream, BeforeValidator(_upstream)]
WebhookAddress = Annotated[str, BeforeValidator(_webhook)]
Address = Annotated[str, BeforeValidator(_listener)]
Role = Literal["approver", "operator", "auditor"]
