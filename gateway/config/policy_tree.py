"""What a policy is about, read from the tree that Cedar made of it: its scope, the names it uses, what it reads.

Cedar checks types, but not that a team exists, nor that `has` asks for an attribute that could ever be there; a
forbid with such a slip of the pen would quietly never match. And a decision is cheap because only policies whose scope
can match are asked, with only the attributes that they read. Whatever is not understood here must count as
everything: as any action, as reading the whole context.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Tree = Mapping[str, Any]
"""One policy in Cedar's JSON form."""
Read = tuple[str, str]
"""`("input", "amount")` or `("call", "run")`."""


@dataclass(frozen=True, slots=True)
class Named:
    """An entity that a policy names."""

    type: str
    id: str

    def __str__(self) -> str:
        return f'{self.type}::"{self.id}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What one policy can be about."""

    actions: tuple[str, ...] | None
    """Ids of the actions and groups that its scope names; None: any action."""
    exactly: bool
    """The scope says `action ==`, which no group ever equals."""
    names: frozenset[Named]
    reads: frozenset[Read] | None
    """Attributes of the context that it looks at; None: it looks at the context as a whole."""
    weighs_action: bool
    """A condition names an action, beyond the scope."""
    weighs_resource: bool
    """The scope or a condition looks at the resource; otherwise its id cannot make a difference."""

    @property
    def climbs(self) -> bool:
        """It may ask which system the resource is in: a system is only ever named outright, no attribute holds one."""
        return any(name.type == "System" for name in self.names)


def about(tree: Tree) -> About:
    conditions = tree["conditions"]
    scope = tree["action"]
    entities = [scope["entity"]] if "entity" in scope else scope.get("entities", [])
    conditions = {_named(node) for node in _nodes(tree["conditions"]) if _is_entity(node)}
    beside = {_named(node) for node in _nodes([tree["principal"], tree["resource"], *entities]) if _is_entity(node)}
    return About(
        actions=None if scope["op"] == "All" else tuple(entity["id"] for entity in entities),
        exactly=scope["op"] == "==",
        names=frozenset(beside | conditions),
        reads=reads(tree["conditions"]),
        weighs_action=any(name.type == "Action" for name in conditions),
        weighs_resource=tree["resource"]["op"] != "All"
        or any(node.get("Var") == "resource" for node in _nodes(tree["conditions"])),
    )


def reads(conditions: object) -> frozenset[Read] | None:
    """Every `context.input.x` and `context.call.x`, also below `has`; None if the context is used in another way."""
    found: set[Read] = set()
    waiting = [conditions]  # not recursive: a tree may be deeper than Python's stack
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            access = node.get(".") or node.get("has") or {}
            if record := _record(access.get("left")):
                found.add((record, access["attr"]))
            elif node.get("Var") == "context":
                return None
            else:
                waiting += node.values()
    return frozenset(found)


def _record(node: object) -> str:
    """`input` if the node is `context.input`, `call` if it is `context.call`."""
    match node:
        case {".": {"left": {"Var": "context"}, "attr": "input" | "call" as record}}:
            return str(record)
        case _:
            return ""


def _nodes(node: object) -> Iterator[Any]:
    """Every mapping in a tree, at any depth."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _is_entity(node: Any) -> bool:
    return {"type", "id"} == node.keys() and all(isinstance(value, str) for value in node.values())


def _named(node: Any) -> Named:
    return Named(node["type"], node["id"])
