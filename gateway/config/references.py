"""What a valid configuration refers to and cannot hold: secrets, certificate files, and addresses others call.

Asked by `gateway check`, at start and by /readyz. Secrets are looked at only to see that they are there and have the
form they need; no value leaves this file, is kept, or is quoted. Give the functions the path of the routes to have each
mistake on its line.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from gateway.config import addresses
from gateway.config.mistakes import Mistake
from gateway.config.models import SecretModel
from gateway.config.reading import Reading
from gateway.config.sources import Source, source
from gateway.config.yaml_lines import Node, Place
from gateway.core.ledger_settings import AnchorWebhook, Bucket, LedgerSettings
from gateway.core.routes import Channel, Credential, EmailChannel, Routes, SecretReference, Slack, Webhook
from gateway.core.secret_format import CONTROL, UNSENDABLE, signing_key, slack_token, verifying_key

CREDENTIAL_FIELDS = {
    "bearer": ("bearer",),
    "basic": ("basic", "password"),
    "header": ("header", "value"),
    "query": ("query", "value"),
}
CHANNEL_SECRETS = (
    ("secret", "webhook secret"),
    ("callback_secret", "callback secret"),
    ("slack", "token", "Slack token"),
    ("slack", "signing_secret", "Slack signing secret"),
)
"""Where a channel's secrets stand, and what each is called."""
FORMS: Mapping[str | int, Callable[[str], object]] = {
    "secret": signing_key, "callback_secret": verifying_key, "token": slack_token,
}  # fmt: skip
"""What a secret of a channel or an anchor must be, by its field; there may be several with white space between, a
rotation."""
LEDGER_KEYS = (("access_key", "access key"), ("secret_key", "secret key"))
ANCHOR = "webhook secret of the ledger's anchor"
FORMED = ("approvals", "ledger")
Where = tuple[str | int, ...]
Secret = tuple[Where, str, SecretReference]
"""Where in the file, what it is, and its reference."""


def missing_secrets(routes: Routes, environ: Mapping[str, str], path: Path | None = None) -> list[Mistake]:
    """Secrets that are absent or could never work, and TLS files that cannot be read, one sentence each."""
    lines = Lines(path)
    mistakes = list(_missing(secrets(routes), environ, lines))
    for name, file in (("cert", routes.listen.certificate), ("key", routes.listen.private_key)):
        if file and (why := value_of(SecretReference("file", file), environ)[1]):
            mistakes.append(lines.at(("listen", "tls", name)).mistake(f"TLS cannot be used: {why}"))
    return sorted(mistakes)


def missing_secrets_of_file(path: Path, environ: Mapping[str, str]) -> list[Mistake]:
    """The same of files that have mistakes, so that all is said in one round. What no secret can be read from is not
    looked at: it is a mistake already."""
    lines = Lines(path)
    return sorted(_missing(_secrets_of_file(lines.source), environ, lines))


def _missing(found: Iterable[Secret], environ: Mapping[str, str], lines: "Lines") -> Iterator[Mistake]:
    for where, owner, reference in found:
        value, missing = value_of(reference, environ)
        if missing:
            yield lines.at(where).mistake(f"the {owner} is missing: {missing}")
        elif why := _unusable(value, FORMS.get(where[-1]) if where[0] in FORMED else None):
            yield lines.at(where).mistake(f"the {owner} ({_place(reference)}) cannot be used: {why}")


def secrets(routes: Routes) -> Iterator[Secret]:
    """Every secret the routes refer to."""
    for system in routes.systems.values():
        if credential := system.credential:
            yield _credential_path(system.name, credential), f"credential of system `{system.name}`", credential.secret
    for group in routes.groups.values():
        for position, channel in enumerate(group.channels):
            where = ("approvals", group.name, "notify", position)
            for (*path, owner), reference in _of_channel(channel):
                yield (*where, *path), f"{owner} of group `{group.name}`", reference
    yield from _of_ledger(routes.ledger)


def _of_ledger(ledger: LedgerSettings) -> Iterator[Secret]:
    if ledger.key:
        yield ("ledger", "key"), "signing key of the ledger", ledger.key
    if isinstance(ledger.store, Bucket):
        for (name, owner), reference in zip(
            LEDGER_KEYS, (ledger.store.access_key, ledger.store.secret_key), strict=True
        ):
            if reference:
                yield ("ledger", "store", "s3", name), f"{owner} of the ledger's store", reference
    for position, anchor in enumerate(ledger.anchors):
        if isinstance(anchor, AnchorWebhook):
            yield ("ledger", "anchors", position, "secret"), ANCHOR, anchor.secret


def _of_channel(channel: Channel) -> Iterator[tuple[Sequence[str], SecretReference]]:
    """The secrets of a channel; the last word of each path is what a sentence calls it."""
    match channel:
        case Webhook():
            yield CHANNEL_SECRETS[0], channel.secret
            if channel.callback_secret:
                yield CHANNEL_SECRETS[1], channel.callback_secret
        case Slack():
            yield CHANNEL_SECRETS[2], channel.token
            yield CHANNEL_SECRETS[3], channel.signing_secret


def _secrets_of_file(files: Source) -> Iterator[Secret]:
    """Every secret that the files refer to, whatever else is wrong in them."""
    for system in _names(files, "systems"):
        for fields in CREDENTIAL_FIELDS.values():
            yield from _secret_at(files, ("systems", system, "credential", *fields), f"credential of system `{system}`")
    for group in _names(files, "approvals"):
        notices = _value_at(files, ("approvals", group, "notify"))
        for position in range(len(notices) if isinstance(notices, list) else 0):
            where = ("approvals", group, "notify", position)
            for *path, owner in CHANNEL_SECRETS:
                yield from _secret_at(files, (*where, *path), f"{owner} of group `{group}`")
    yield from _secret_at(files, ("ledger", "key"), "signing key of the ledger")
    for name, owner in LEDGER_KEYS:
        yield from _secret_at(files, ("ledger", "store", "s3", name), f"{owner} of the ledger's store")
    anchors = _value_at(files, ("ledger", "anchors"))
    for position in range(len(anchors) if isinstance(anchors, list) else 0):
        yield from _secret_at(files, ("ledger", "anchors", position, "secret"), ANCHOR)


def _names(files: Source, section: str) -> list[str]:
    defined = _value_at(files, (section,))
    return list(defined) if isinstance(defined, dict) else []


def _secret_at(files: Source, where: Where, owner: str) -> Iterator[Secret]:
    node = _node_at(files, where)
    if node is not None and isinstance(node.value, dict):
        with suppress(ValidationError):  # said by whoever loads it
            yield where, owner, SecretModel.model_validate(node.plain()).reference()


def _value_at(files: Source, where: Where) -> object:
    node = _node_at(files, where)
    return node.value if node else None


def _node_at(files: Source, where: Where) -> Node | None:
    """What stands there, or None."""
    section, *rest = where
    whole = files.ledger if section == "ledger" else None
    node = whole.node if whole else files.sections.get(str(section))
    for step in rest:
        match node.value if node else None:
            case dict() as entries if isinstance(step, str):
                node = entries.get(step)
            case list() as items if isinstance(step, int):
                node = items[step]
            case _:
                return None
    return node


def _credential_path(system: str, credential: Credential) -> Where:
    return ("systems", system, "credential", *CREDENTIAL_FIELDS[credential.kind])


def _place(reference: SecretReference) -> str:
    return f"environment variable {reference.name}" if reference.kind == "env" else f"file {reference.name}"


def value_of(reference: SecretReference, environ: Mapping[str, str]) -> tuple[str, str]:
    """The secret, as it would be read when it is used, and why there is none, with the cure."""
    if reference.kind == "env":
        value = environ.get(reference.name, "")
        return value, "" if value.strip() else f"set the environment variable {reference.name}"
    path = Path(reference.name)
    try:
        if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
            return "", f"{reference.name} is not a regular file"
        content = path.read_bytes()
    except OSError as error:
        return "", f"the file {reference.name} cannot be read ({(error.strerror or 'unknown error').lower()})"
    value = content.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
    return value, "" if content.strip() else f"the file {reference.name} is empty"


def _unusable(value: str, form: Callable[[str], object] | None) -> str:
    """Why this value would fail at every use; never quotes it. `form` raises ValueError for one of several secrets."""
    if CONTROL.search(value):
        return UNSENDABLE
    try:
        if form is not None:
            for secret in value.split():
                form(secret)
    except ValueError as error:
        return str(error)
    return ""


def callback_mistakes(routes: Routes, control_url: str, path: Path | None = None) -> list[Mistake]:
    """Webhooks on other machines that are told to call back an address only this machine can reach.

    `control_url` is GATEWAY_CONTROL_URL, or `http://` and the control listener.
    """
    try:
        if not addresses.only_here(addresses.host_of(control_url)):
            return []
    except ValueError as error:
        return [Mistake("GATEWAY_CONTROL_URL", 0, f"the address of the control plane {error}")]
    lines = Lines(path)
    return sorted(
        lines.at(("approvals", group.name, "notify", position, "webhook")).mistake(
            f"the webhook of group `{group.name}` is on another machine, which cannot call back {control_url}; set "
            "GATEWAY_CONTROL_URL to an address that it can reach"
        )
        for group in routes.groups.values()
        for position, webhook in enumerate(group.channels)
        if isinstance(webhook, Webhook)
        if not addresses.only_here(addresses.host_of(webhook.url))
    )


def links_only_here(routes: Routes, control_url: str) -> list[str]:
    """Groups whose people get links to the page that lead to their own machines."""
    try:
        if not addresses.only_here(addresses.host_of(control_url)):
            return []
    except ValueError:
        return []  # `callback_mistakes` says so
    return [
        group.name
        for group in routes.groups.values()
        if any(isinstance(channel, Slack | EmailChannel) for channel in group.channels)
    ]


def mail_mistakes(routes: Routes, missing: Sequence[str], path: Path | None = None) -> list[Mistake]:
    """Groups that are told by e-mail although there is no way to send one. `missing`: settings that are not made."""
    lines = Lines(path)
    return sorted(
        lines.at(("approvals", group.name, "notify", position, "email")).mistake(
            f"nobody would hear of group `{group.name}` by e-mail: set {' and '.join(missing)}"
        )
        for group in routes.groups.values()
        for position, channel in enumerate(group.channels)
        if missing and isinstance(channel, EmailChannel)
    )


class Lines:
    """Where things stand in the files; line 0 of the path if that cannot be said any more."""

    def __init__(self, path: Path | None) -> None:
        self.whole = Place(str(path) if path else "routes.yaml", 0)
        self.source = source(path, Reading({})) if path else Source()

    def at(self, where: Where) -> Place:
        section, *rest = where
        if section in ("listen", "ledger"):
            definition = self.source.listen if section == "listen" else self.source.ledger
            return definition.at(*rest) if definition else self.whole
        node: Node | None = self.source.sections.get(str(section))
        return node.find(rest, self.whole) if node else self.whole
