"""Templates and static files: from values to what a browser gets.

Everything that a template prints is escaped and made visible (`gateway.console.text`), whether or not its author
thought of it; a name that is not given is an error and not an empty place.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from gateway.console.guard import guarded
from gateway.console.text import LONG, clock, left, looks_like_another_type, number, shown_value, when
from gateway.core.times import iso, moment, span

HERE = Path(__file__).parent
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Static:
    content: bytes
    kind: str
    tag: str
    """Changes with the content, and is part of its address."""


def _static() -> dict[str, Static]:
    found = {}
    for path in sorted((HERE / "static").iterdir()):
        if path.suffix in KINDS:
            content = path.read_bytes()
            found[path.name] = Static(content, KINDS[path.suffix], hashlib.sha256(content).hexdigest()[:16])
    return found


STATIC = _static()


def _address(name: str) -> str:
    return f"/static/{name}?v={STATIC[name].tag}"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, finalize=shown_value,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters |= {
        "left": left,
        "iso": iso,
        "when": when,
        "number": number,
        "moment": moment,
        "span": span,
        "clock": clock,
    }
    made.tests |= {"another_type": looks_like_another_type}
    made.globals |= {"static": _address, "LONG": LONG}
    return made


ENVIRONMENT = _environment()


def page(template: str, status: int = 200, **values: object) -> Response:
    """A page, or a part of one, with the headers that every one of them has."""
    body = ENVIRONMENT.get_template(template).render(**values)
    return guarded(Response(body, status, media_type="text/html"))


def static(name: str, version: str) -> Response | None:
    """A file of ours; kept by browsers for a year if its address names its content."""
    found = STATIC.get(name)
    if found is None:
        return None
    answer = guarded(Response(found.content, media_type=found.kind))
    if version == found.tag:
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
    return answer
