"""What keeps a browser from being used against the person who sits in front of it.

Every answer of the page carries these headers, and every POST proves two things: it comes from a page of ours (Origin,
which browsers send and scripts cannot change) and from this session (the token that the form carries). GET never
decides anything, so a link that is followed, fetched ahead or scanned does no harm.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.doors import control_bodies

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",  # for browsers that do not know frame-ancestors
    "referrer-policy": "same-origin",  # `no-referrer` would make the Origin of our own forms "null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cache-control": "no-store",
}
MOST_FIELDS = 2_000
"""Of one form: a decision on many identical questions has two for each."""


class NotFromHere(Exception):
    """The request does not come from a page of ours, or not from this session. Nothing was done."""


class OddForm(Exception):
    """The form is not one of ours: a sentence says why."""


def guarded(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def is_private(request: Request, control_url: str) -> bool:
    """True if what the browser sends travels encrypted, here or up to whoever stands before the gateway."""
    return request.url.scheme == "https" or control_url.startswith("https://")


def check_origin(request: Request, control_url: str) -> None:
    """Raises NotFromHere unless a page of this very host sent it."""
    origin = request.headers.get("origin", "")
    host = request.headers.get("host", "")
    if origin != control_url and not (host and urlsplit(origin).netloc == host):
        raise NotFromHere("this form was not sent from the gateway's own page")


def check_token(form: "Form", csrf: str) -> None:
    """Raises NotFromHere unless the form was made for this session."""
    if not hmac.compare_digest(form.one("csrf").encode(), csrf.encode()):
        raise NotFromHere("this form was made for another session")


class Form:
    """The fields of a form that was posted."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def one(self, name: str) -> str:
        """Its value; empty if it is not there. Raises OddForm if it is there twice."""
        found = self.all(name)
        if len(found) > 1:
            raise OddForm(f"`{name}` is there twice")
        return found[0] if found else ""

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found == name]

    def starting(self, prefix: str) -> Mapping[str, str]:
        """Every field whose name begins like that, without the beginning."""
        names = [name for name, _ in self.fields if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.one(name) for name in names}


async def form(request: Request) -> Form:
    """Raises OddForm or TooLarge."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await control_bodies.body(request)
    if kind != "application/x-www-form-urlencoded":
        raise OddForm("its content type is not that of a form")
    try:
        text = raw.decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict",
                           max_num_fields=MOST_FIELDS)  # fmt: skip
    except ValueError as error:
        raise OddForm("it cannot be read") from error
    return Form([(name, value.replace("\r\n", "\n")) for name, value in fields])
