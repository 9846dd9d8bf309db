"""Which tool a request is for: a tree of path segments per system and method, built once per generation.

Templates match whole raw segments; the one with more literal segments wins (design section 7). The danger here is a
request that slips past a narrow tool into a broad one (`GET /{path...}`) because it is spelled differently from what
the narrow tool's template says, while the system reads both alike. So a segment that would be a literal if it were
decoded, and a path that differs from a narrower tool's only in a slash or a suffix (`.json`) at its end, are refused as
ambiguous.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from heapq import nlargest

from gateway.core.routes import Tool, Variable
from gateway.errors import AmbiguousRequest, UnknownTool
from gateway.wire.target import decoded_segment, hides_structure

NEAREST = 3
"""How many declared tools an unknown one is compared with in the answer."""
COMPARED = 50
CLOSE_ENOUGH = 0.3
"""Similarity, 0 to 1, below which a suggestion would only confuse."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The end of one template."""

    tool: Tool
    captures: tuple[tuple[str, int, bool], ...]
    """Name, position and `encoded` of each variable that takes one segment."""
    rest: tuple[str, int, bool] | None
    literals: int


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    lowered: set[str] = field(default_factory=set)
    """The literals in lower case."""
    variable: "_Node | None" = None
    ends: list[_Leaf] = field(default_factory=list)
    rests: list[_Leaf] = field(default_factory=list)


def request_line(tool: Tool) -> str:
    """`GET /v1/charges/{charge}`, as routes.yaml has it."""
    return f"{tool.method} /{'/'.join(map(_shown, tool.template))}"


def _shown(segment: str | Variable) -> str:
    return segment if isinstance(segment, str) else f"{{{segment.name}{'...' if segment.rest else ''}}}"


class Tree:
    """All templates of one system and method."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._root = _Node()
        self._literal: dict[str, _Leaf] = {}
        """Paths without variables, complete: nothing can have more literal segments."""
        self._cut, self._stems = _Node(), set[str]()
        """The templates that end with a word, without its suffix; and these words."""
        for tool in tools:
            leaf = _insert(self._root, tool, tool.template)
            if leaf.literals == len(tool.template):
                self._literal["/" + "/".join(map(_shown, tool.template))] = leaf
            match tool.template:
                case (*before, str(word)) if stem := _stem(word):
                    self._stems.add(stem.lower())
                    _insert(self._cut, tool, (*before, stem))

    def find(self, path: str) -> tuple[Tool, Mapping[str, str]] | None:
        """The tool for a checked path, and its variables decoded once. Raises AmbiguousRequest."""
        exact = self._literal.get(path)
        if exact is not None:
            return exact.tool, {}
        segments = path.split("/")[1:]
        leaf = self._best(segments)
        if leaf is None:
            if hides_structure(path):
                raise AmbiguousRequest("the path has an encoded dot, slash or percent sign")
            return None
        if leaf.rest:
            self._refuse_slash_variant(segments, leaf)
        if (stem := _stem(segments[-1] or segments[-2])).lower() in self._stems:
            self._refuse_suffix_variant(segments, stem, leaf)
        return leaf.tool, _captured(leaf, segments, encoded="%" in path)

    def _best(self, segments: list[str]) -> _Leaf | None:
        """The matching template with the most literal segments. None also if two are equal: config refuses those."""
        best: _Leaf | None = None
        tie = False
        found: list[_Leaf] = []
        _collect(self._root, segments, 0, found)
        for leaf in found:
            if best is None or leaf.literals > best.literals:
                best, tie = leaf, False
            elif leaf.literals == best.literals:
                tie = True
        return None if tie else best

    def _refuse_slash_variant(self, segments: list[str], leaf: _Leaf) -> None:
        variant = segments[:-1] if segments[-1] == "" else [*segments, ""]
        other = self._best(variant) if variant else None
        if other is not None and other.literals > leaf.literals and not other.rest:
            raise AmbiguousRequest(f"the path differs from that of {other.tool.name} only in a slash at its end")

    def _refuse_suffix_variant(self, segments: list[str], stem: str, leaf: _Leaf) -> None:
        found: list[_Leaf] = []
        _collect(self._cut, [*segments[: -1 if segments[-1] else -2], stem], 0, found)
        for other in found:
            if other.literals > leaf.literals:
                raise AmbiguousRequest(
                    f"the path differs from that of {other.tool.name} only in a suffix such as .json, and many systems "
                    "read both alike; if it is something else, it must be declared as a tool of its own"
                )


def _insert(node: _Node, tool: Tool, template: Sequence[str | Variable]) -> _Leaf:
    captures, rest = [], None
    for position, segment in enumerate(template):
        match segment:
            case str():
                node.lowered.add(segment.lower())
                node = node.literals.setdefault(segment, _Node())
            case Variable(rest=False):
                captures.append((segment.name, position, segment.encoded))
                node.variable = node.variable or _Node()
                node = node.variable
            case _:
                rest = (segment.name, position, segment.encoded)
    leaf = _Leaf(tool, tuple(captures), rest, sum(isinstance(segment, str) for segment in template))
    (node.rests if rest else node.ends).append(leaf)
    return leaf


def _stem(segment: str) -> str:
    """A segment without what says in which form it is wanted: `orders` of `orders.json`, and of `orders.`."""
    return decoded_segment(segment).partition(".")[0].strip()


def _collect(node: _Node, segments: list[str], position: int, found: list[_Leaf]) -> None:
    """Add every template below `node` that matches the segments from `position` on."""
    if position == len(segments):
        found += node.ends
        return
    segment = segments[position]
    child = node.literals.get(segment)
    if child is not None:
        _collect(child, segments, position + 1, found)
    elif "%" in segment and node.literals and decoded_segment(segment).lower() in node.lowered:
        raise AmbiguousRequest("the path spells a word of a declared path with percent-encoding")
    elif node.literals and not segment.islower() and segment.lower() in node.lowered:
        raise AmbiguousRequest(
            "the path spells a word of a declared path in another case, which many systems read alike"
        )
    if segment:
        if node.variable is not None:
            _collect(node.variable, segments, position + 1, found)
        found += node.rests


def _captured(leaf: _Leaf, segments: list[str], *, encoded: bool) -> dict[str, str]:
    found = {name: segments[position] for name, position, _ in leaf.captures}
    if leaf.rest:
        name, position, _ = leaf.rest
        found[name] = "/".join(segments[position:])
    if not encoded:
        return found
    allowed = {name for name, _, encoded in (*leaf.captures, *((leaf.rest,) if leaf.rest else ())) if encoded}
    for name, raw in found.items():
        if name not in allowed and hides_structure(raw):
            raise AmbiguousRequest(
                f"the path has an encoded dot, slash or percent sign, and {{{name}}} is not declared `encoded: allow`"
            )
    return {name: decoded_segment(raw) for name, raw in found.items()}


class Matcher:
    """All tools of one system."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = tuple(tools)
        methods = {tool.method for tool in self._tools}
        self._trees = {method: (Tree(t for t in self._tools if t.method == method),) for method in methods}
        # HEAD is GET without content (RFC 9110), so it is the same tool, unless routes.yaml declares it by itself.
        reads = Tree(tool for tool in self._tools if tool.method == "GET" and not tool.acts)
        self._trees["HEAD"] = (*self._trees.get("HEAD", ()), reads)

    def match(self, method: str, path: str) -> tuple[Tool, Mapping[str, str]]:
        """The tool and its path variables. Raises UnknownTool or AmbiguousRequest."""
        for tree in self._trees.get(method, ()):
            found = tree.find(path)
            if found is not None:
                return found
        raise UnknownTool(method, path, self.nearest(method, path))

    def nearest(self, method: str, path: str) -> list[str]:
        """Declared tools that look like the request, best first: `stripe.get_charge (GET /v1/charges/{charge})`."""
        wanted = f"{method} {path[:200]}"  # similarity costs the product of lengths
        # Similarity is dear: of many tools only those are compared that begin alike.
        alike = nlargest(COMPARED, self._tools, key=lambda tool: _alike(wanted, request_line(tool)))
        scored = ((SequenceMatcher(None, wanted, request_line(tool)).ratio(), tool) for tool in alike)
        best = nlargest(NEAREST, scored, key=lambda pair: (pair[0], pair[1].name))
        return [f"{tool.name} ({request_line(tool)})" for score, tool in best if score >= CLOSE_ENOUGH]


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
