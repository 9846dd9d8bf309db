"""The text after `request:`, such as `GET /v1/charges/{charge}`, as a method and a path template; and ties.

A template matches whole segments of the raw path: a literal segment matches itself, `{name}` one segment that is
not empty, `{name...}` all that remain (at least one). Whatever two parsers could read differently is refused here
already, so a template can never name a path that the door refuses. The most literal template wins; two templates
that can match one path and have equally many literal segments are a tie, and a tie is a mistake, never an order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.core.routes import Variable

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
SAFE = frozenset({"GET", "HEAD"})

Template = tuple[str | Variable, ...]

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
VARIABLE = re.compile(rf"\{{({NAME})(\.\.\.)?\}}")
LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,=:@]*")
"""RFC 3986 pchar without `%` and `;`, which systems and proxies read in different ways."""


@dataclass(frozen=True, slots=True)
class RequestLine:
    method: str
    template: Template

    @property
    def variables(self) -> dict[str, Variable]:
        return {part.name: part for part in self.template if isinstance(part, Variable)}


def request_line(value: object) -> RequestLine:
    """Parse `METHOD /path`. ValueError says what to change."""
    if not isinstance(value, str) or len(words := value.split(" ")) != 2:
        raise ValueError("must be a method, one space and a path, such as GET /v1/charges/{charge}")
    method, path = words
    if method not in METHODS:
        if method.upper() in METHODS:
            raise ValueError(f"must begin with the method in capitals: {method.upper()}")
        raise ValueError(f"must begin with one of {', '.join(METHODS)}")
    return RequestLine(method, template(path))


def template(path: str) -> Template:
    """Parse a path template. ValueError says what to change."""
    if not path.startswith("/"):
        raise ValueError("must have a path that begins with /")
    for character, why in (("?", "query arguments are declared under `input`"), ("#", "a fragment is never sent")):
        if character in path:
            raise ValueError(f"must not contain {character}: {why}")
    texts = path[1:].split("/")
    parts = tuple(_segment(text, last=position == len(texts) - 1) for position, text in enumerate(texts))
    names = [part.name for part in parts if isinstance(part, Variable)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"must not use {{{repeated[0]}}} twice")
    return parts


def _segment(text: str, *, last: bool) -> str | Variable:
    if variable := VARIABLE.fullmatch(text):
        if variable[2] and not last:
            raise ValueError(f"must have {text} at the end: it takes all that remains of the path")
        return Variable(variable[1], rest=bool(variable[2]))
    if "{" in text or "}" in text:
        raise ValueError(f"must have a variable as a whole segment, {{name}} or {{name...}}, not `{text}`")
    if not text and not last:
        raise ValueError("must not contain //: systems disagree about empty segments")
    if text in {".", ".."}:
        raise ValueError(f"must not contain the segment `{text}`: clients and servers remove it")
    if "%" in text:
        raise ValueError("must not contain %: write the character itself, or use a variable with `encoded: allow`")
    if ";" in text:
        raise ValueError("must not contain ; (some systems cut the path there)")
    if not LITERAL.fullmatch(text):
        raise ValueError(f"must not contain characters that a path cannot carry: `{text}`")
    return text


def literals(parts: Template) -> int:
    """How many segments are literal: what decides between templates."""
    return sum(isinstance(part, str) for part in parts)


def overlap(one: Template, other: Template) -> bool:
    """Whether some path matches both."""
    for mine, theirs in zip(one, other, strict=False):
        if isinstance(mine, str) and isinstance(theirs, str):
            if mine != theirs:
                return False
        elif any(isinstance(part, Variable) and part.rest for part in (mine, theirs)):
            return True
        elif "" in (mine, theirs):
            return False  # a variable takes a segment that is not empty, so not what follows a final slash
    return len(one) == len(other)


def ties(lines: Sequence[RequestLine]) -> Iterator[tuple[int, int]]:
    """Pairs of positions (earlier, later) of requests that nothing decides between."""
    ranks: dict[tuple[str, int], list[int]] = {}
    for later, line in enumerate(lines):
        rivals = ranks.setdefault((line.method, literals(line.template)), [])
        for earlier in rivals:
            if overlap(lines[earlier].template, line.template):
                yield earlier, later
        rivals.append(later)
