"""Requests and their templates: what is a segment, what is refused, what is a tie."""

import itertools

import pytest

from gateway.config.templates import RequestLine, literals, overlap, request_line, template, ties
from gateway.core.routes import Variable


def test_a_request_is_a_method_and_segments():
    line = request_line("GET /v1/charges/{charge}/files/{path...}")
    assert line == RequestLine("GET", ("v1", "charges", Variable("charge"), "files", Variable("path", rest=True)))
    assert set(line.variables) == {"charge", "path"} and literals(line.template) == 3


@pytest.mark.parametrize("path", ["/", "/a/", "/a.b-c_d~e/f:g@h", "/$batch", "/Things('1')", "/a,b/c=d"])
def test_plain_paths_are_taken_as_they_are(path):
    assert "/" + "/".join(str(part) for part in template(path)) == path


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("GET", "a method, one space and a path"),
        ("GET  /a", "a method, one space and a path"),
        ("GET /a b", "a method, one space and a path"),
        (7, "a method, one space and a path"),
        ("get /a", "in capitals: GET"),
        ("TRACE /a", "begin with one of GET, HEAD, POST"),
        ("CONNECT /a", "begin with one of"),
        ("OPTIONS /a", "begin with one of"),
        ("GET a/b", "begins with /"),
        ("GET https://x/a", "begins with /"),
        ("GET //a", "must not contain //"),
        ("GET /a//b", "must not contain //"),
        ("GET /a/./b", "the segment `.`"),
        ("GET /a/../b", "the segment `..`"),
        ("GET /a/..", "the segment `..`"),
        ("GET /a%2Fb", "must not contain %"),
        ("GET /a;v=1/b", "must not contain ;"),
        ("GET /a?b=1", "must not contain ?: query arguments are declared under `input`"),
        ("GET /a#b", "must not contain #"),
        ("GET /ä", "characters that a path cannot carry"),
        ("GET /a\\b", "characters that a path cannot carry"),
        ('GET /a"b', "characters that a path cannot carry"),
        ("GET /v{n}", "a variable as a whole segment"),
        ("GET /{a}:cancel", "a variable as a whole segment"),
        ("GET /{}", "a variable as a whole segment"),
        ("GET /{1a}", "a variable as a whole segment"),
        ("GET /{a", "a variable as a whole segment"),
        ("GET /{a..}", "a variable as a whole segment"),
        ("GET /{a...}/b", "at the end"),
        ("GET /{a...}/", "at the end"),
        ("GET /{a}/{a}", "{a} twice"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(text, fragment):
    with pytest.raises(ValueError, match="must") as caught:
        request_line(text)
    assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("/a/{x}", "/a/{y}", True),
        ("/a/{x}", "/{y}/b", True),
        ("/{x}", "/{path...}", True),
        ("/a/{x}/c", "/a/{rest...}", True),
        ("/{a}/{b}", "/{rest...}", True),
        ("/a", "/b", False),
        ("/a/{x}", "/b/{x}", False),
        ("/a/{x}", "/{y}", False),
        ("/a", "/a/{rest...}", False),
        ("/a/", "/a/{x}", False),
        ("/a/", "/a", False),
        ("/x/{r...}", "/y/{r...}", False),
    ],
)
def test_two_templates_overlap_when_some_path_matches_both(one, other, both):
    assert overlap(template(one), template(other)) is both
    assert overlap(template(other), template(one)) is both


def matches(parts: tuple[str | Variable, ...], path: tuple[str, ...]) -> bool:
    """What a template means, said once more and plainly."""
    if parts and isinstance(last := parts[-1], Variable) and last.rest:
        return len(path) >= len(parts) and all(map(fits, parts[:-1], path))
    return len(path) == len(parts) and all(map(fits, parts, path))


def fits(part: str | Variable, segment: str) -> bool:
    return segment == part if isinstance(part, str) else segment != ""


def test_overlap_is_true_exactly_when_there_is_such_a_path():
    parts = ["a", "b", Variable("v")]
    templates = [
        (*front, *end)
        for length in range(4)
        for front in itertools.product(parts, repeat=length)
        for end in ((), (Variable("r", rest=True),))
        if front or end
    ]
    paths = [path for length in range(1, 6) for path in itertools.product("abc", repeat=length)]
    matched = {t: {path for path in paths if matches(t, path)} for t in templates}
    for one, other in itertools.product(templates, repeat=2):
        assert overlap(one, other) is bool(matched[one] & matched[other]), (one, other)


def test_more_literal_segments_decide_so_that_is_no_tie():
    lines = [request_line(f"GET {path}") for path in ("/a/{x}", "/{path...}", "/a/b", "/{x}/b")]
    assert list(ties(lines)) == [(0, 3)]


def test_methods_never_tie():
    assert not list(ties([request_line("GET /{a}"), request_line("POST /{a}"), request_line("HEAD /{a}")]))
