"""What is wrong with policies that Cedar can read: names that do not exist, types, conditions that are never true.

Each check answers one question: could this policy do something else than its author believes? A forbid that never
matches is the dangerous one, and Cedar's validator lets two of its kinds pass: an entity that does not exist, and
`has` with a misspelt name. Nothing here may change a policy or decide about a call.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cedarpy import Schema, validate_policies

from gateway.config.cedar_values import member
from gateway.config.mistakes import Mistake
from gateway.config.policy_hints import MISTAKEN_NEGATION, negated, of_entity, readable
from gateway.config.policy_text import Statement
from gateway.config.policy_tree import About, Named
from gateway.config.schema import CALL, GROUPS, action_groups, cedar_schema, input_attributes, unseen
from gateway.core.routes import Routes

Scope = frozenset[str] | None
PROBE = "context.gateway_probe"
"""An attribute that no schema has. Cedar complains of it unless it knows that it never gets so far."""
PROBED_AT_ONCE = 20_000
"""Complaints of one probe: each policy gives one for every tool of its scope, about 200 bytes."""
PREFIX = re.compile(r"^for policy `policy\d+`, ")
NUMBERED = re.compile(r"policy(\d+)")
"""How cedarpy names the policies of a text, in their order."""
IN_CONTEXT = re.compile(r' in context for Action::"((?:[^"\\]|\\.)*)"')
ATTRIBUTE = re.compile(r'`(input|call)(?:\.(\w+)|\["((?:[^"\\]|\\.)*)"\])')
NO_TOOL = "unable to find an applicable action"
UNKNOWN_ACTION = "unrecognized action"


@dataclass(frozen=True, slots=True)
class Checked:
    """A policy under examination."""

    statement: Statement
    about: About
    actions: Scope
    """The tools that its scope can match; None: all."""
    id: str

    def mistake(self, sentence: str, naming: str = "", otherwise: int = 0) -> Mistake:
        line = self.statement.line_naming(naming or sentence, otherwise)
        return Mistake(self.statement.file, line, f'policy "{self.id}": {sentence}' if self.id else sentence)


def near(name: str, known: Iterable[str], mark: str = "") -> str:
    """`did you mean x?`, or what there is."""
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {mark}{close[0]}?"
    return f"there is {', '.join(mark + known for known in names)}" if names else "there is none"


class Vocabulary:
    """Every name of routes.yaml that a policy may use, computed once for all of them."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.tools = {tool.name: tool for system in routes.systems.values() for tool in system.tools}
        members: dict[str, set[str]] = {group: set() for group in (*GROUPS, *routes.systems)}
        for name, tool in self.tools.items():
            for group in action_groups(tool):
                members[group].add(name)
        self.groups = {group: frozenset(tools) for group, tools in members.items()}
        self.seen = {name: frozenset(a.name for a in input_attributes(tool)) for name, tool in self.tools.items()}
        self.hidden = {name: frozenset(unseen(tool)) for name, tool in self.tools.items()}
        teams = {team for agent in routes.agents.values() for team in agent.teams}
        self.entities: Mapping[str, tuple[str, Collection[str]]] = {
            "Agent": ("agent", routes.agents),
            "Team": ("team of an agent", teams),
            "System": ("system", routes.systems),
            "Action": ("tool or group of tools", {*self.tools, *self.groups}),
        }
        self._scopes: dict[tuple[tuple[str, ...], bool], frozenset[str]] = {}
        self._attributes: dict[tuple[str, Scope], frozenset[str]] = {}

    def scope(self, about: About) -> Scope:
        """The tools among which the actions of a scope are, groups written out; None: any."""
        if about.actions is None:
            return None
        key = (about.actions, about.exactly)
        if key not in self._scopes:  # policies of one scope share one set
            groups = [] if about.exactly else [self.groups.get(name, frozenset()) for name in about.actions]
            self._scopes[key] = frozenset(set(about.actions) & self.tools.keys()).union(*groups)
        return self._scopes[key]

    def attributes(self, record: str, scope: Scope) -> frozenset[str]:
        """The attributes of `context.input` or `context.call` that at least one tool of the scope has."""
        key = (record, scope)
        if key not in self._attributes:
            call = frozenset(attribute.name for attribute in CALL)
            of_tools = (self.seen[name] for name in (self.tools if scope is None else scope))
            self._attributes[key] = call if record == "call" else frozenset().union(*of_tools)
        return self._attributes[key]

    def meant(self, record: str, name: str, scope: Scope) -> str:
        """What could have been meant by an attribute that is not there."""
        if record == "input" and any(name in self.hidden[tool] for tool in (self.tools if scope is None else scope)):
            return "no policy can see it: it has no one type, or no declared properties"
        return near(name, self.attributes(record, scope))


def name_mistakes(policy: Checked, vocabulary: Vocabulary) -> Iterator[Mistake]:
    """Agents, teams, systems, tools and groups that routes.yaml does not have."""
    for name in sorted(policy.about.names, key=str):
        what, known = vocabulary.entities.get(name.type, ("", ()))
        if what and name.id not in known:
            yield policy.mistake(
                f'routes.yaml has no {what} called "{name.id}"; {near(name.id, known)}', f'"{name.id}"'
            )
    if policy.about.exactly and not policy.actions:
        for group in filter(vocabulary.groups.__contains__, policy.about.actions or ()):
            yield policy.mistake(f'"{group}" is a group of tools: write `action in {Named("Action", group)}`')


def type_mistakes(policies: Sequence[Checked], vocabulary: Vocabulary) -> Iterator[Mistake]:
    """What Cedar's strict validation finds, and policies that can never match.

    Policies are checked together with those of the same scope, against a schema of the tools in that scope: Cedar
    looks at each policy once for every tool of the schema.
    """
    by_scope: dict[Scope, list[Checked]] = defaultdict(list)
    for policy in policies:
        if policy.actions != frozenset():  # about a group that has no tool yet: nothing to check it against
            by_scope[None if policy.about.weighs_action else policy.actions].append(policy)
    for scope, group in by_scope.items():
        try:
            schema = Schema.from_str(cedar_schema(vocabulary.routes, scope))
        except ValueError as error:
            yield Mistake("routes.yaml", 0, f"the tools cannot be described to Cedar: {error}; rename what it names")
            return
        complaints = _complaints([policy.statement.text for policy in group], schema)
        sound = []
        for number, policy in enumerate(group):
            of_cedar = complaints.get(number, [])
            found = [*_sentences(policy, of_cedar, vocabulary, schema), *_never_there(policy, of_cedar, vocabulary)]
            yield from found
            if not found and not of_cedar and not _misnamed(policy, vocabulary):
                sound.append(policy)
        yield from _impossible(sound, schema, len(scope or vocabulary.tools))


def _complaints(texts: Sequence[str], schema: Schema) -> Mapping[int, list[str]]:
    """What Cedar says, by the position of the policy it is about."""
    found: dict[int, list[str]] = defaultdict(list)
    result = validate_policies("\n".join(texts), schema)
    if not (result.validation_passed or result.errors):
        found |= {number: ["Cedar does not accept it and does not say why"] for number in range(len(texts))}
    for error in result.errors:
        about = NUMBERED.fullmatch(error.policy_id or "")
        for number in [int(about[1])] if about else range(len(texts)):  # of no policy in particular: then of every one
            found[number].append(readable(PREFIX.sub("", error.error)))
    return found


def _misnamed(policy: Checked, vocabulary: Vocabulary) -> bool:
    """It names what is not there: that it then never matches is a consequence, and would only be said twice."""
    return next(name_mistakes(policy, vocabulary), None) is not None


def _condition_line(policy: Checked, complaint: str, schema: Schema) -> int:
    """The line of the condition that Cedar complains of; 0 if it is none."""
    conditions = policy.statement.conditions()
    for line, so_far in conditions[:-1]:
        if any(IN_CONTEXT.sub("", said) == complaint for said in _complaints([so_far], schema)[0]):
            return line
    return conditions[-1][0] if conditions else 0


def _sentences(policy: Checked, complaints: Iterable[str], vocabulary: Vocabulary, schema: Schema) -> Iterator[Mistake]:
    """Cedar's complaints about one policy, each once and not once per tool, with what to do where that is known."""
    where: dict[str, list[str]] = defaultdict(list)
    for complaint in complaints:
        action = IN_CONTEXT.search(complaint)
        where[IN_CONTEXT.sub("", complaint)].append(action[1] if action else "")
    negation = negated(policy.statement.text)
    for complaint, actions in where.items():
        if complaint.startswith(UNKNOWN_ACTION):
            continue  # name_mistakes says it, with the nearest name
        line = _condition_line(policy, complaint, schema)
        if negation and MISTAKEN_NEGATION.match(complaint):
            sentence = f"`!` binds closer than `has`; write {negation}"
            yield policy.mistake(sentence, "`!`", line)
            continue
        if complaint.startswith(NO_TOOL):
            if not _misnamed(policy, vocabulary):
                yield policy.mistake(
                    "no tool fits its principal, action and resource together: it would never match", "`resource`"
                )
            continue
        named = sorted(filter(None, actions))
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        place = f" (for {named[0]}{more})" if named else ""
        yield policy.mistake(f"{complaint}{place}{_cure(complaint, policy, vocabulary)}", complaint, line)


def _cure(complaint: str, policy: Checked, vocabulary: Vocabulary) -> str:
    attribute = ATTRIBUTE.search(complaint)
    if attribute is None:
        decimals = '; decimals compare so: .greaterThan(decimal("5.0"))' if "saw decimal" in complaint else ""
        return decimals or of_entity(complaint)
    record, name = attribute[1], attribute[2] or attribute[3]
    ask = f"ask first: context.{record} has {member(name)} && ..."
    if "optional" in complaint:
        return f"; it may be absent, so {ask}"
    if name in vocabulary.attributes(record, policy.actions):
        return f"; other tools in its scope have it, so {ask}"
    return f"; {vocabulary.meant(record, name, policy.actions)}" if "not found" in complaint else ""


def _never_there(policy: Checked, complaints: Sequence[str], vocabulary: Vocabulary) -> Iterator[Mistake]:
    """`has` with a name that no tool of the scope has: always false, and Cedar accepts it."""
    for record, name in sorted(policy.about.reads or ()):
        told = any(name in complaint for complaint in complaints)
        if not told and name not in vocabulary.attributes(record, policy.actions):
            sentence = f"context.{record} never has `{name}` for the tools in its scope"
            yield policy.mistake(f"{sentence}; {vocabulary.meant(record, name, policy.actions)}", f"`{name}`")


def _impossible(policies: Sequence[Checked], schema: Schema, tools: int) -> Iterator[Mistake]:
    """Policies whose conditions are false for every tool of their scope, as far as types can tell."""
    step = max(1, PROBED_AT_ONCE // max(1, tools))
    for start in range(0, len(policies), step):
        some = policies[start : start + step]
        reached = _complaints([policy.statement.with_condition(PROBE) for policy in some], schema)
        for number, policy in enumerate(some):
            if number not in reached:
                sentence = "it can never match: its conditions are false for every tool in its scope"
                yield policy.mistake(f"{sentence}; correct or remove it", "`when`")
