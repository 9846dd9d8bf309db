"""policies/*.cedar as one immutable set that may be served, or every mistake in it with its line.

A gateway that loads half of a policy set, or one with a forbid that quietly never matches, is worse than one that
does not start: so everything is read, everything is checked, and one mistake anywhere means there is no set at all.
Beyond Cedar's strict validation that is: a unique `@id` for each policy, only annotations that mean something here,
names that routes.yaml knows, and no policy that could never match.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cedarpy import policies_to_json_str

from gateway.config.mistakes import Mistake
from gateway.config.policy_checks import Checked, Vocabulary, name_mistakes, near, type_mistakes
from gateway.config.policy_files import policy_files
from gateway.config.policy_text import Statement, statements, stopped_at, too_deep
from gateway.config.policy_tree import About, about
from gateway.config.schema import cedar_schema, obstacles
from gateway.core.call import joined
from gateway.core.routes import Routes

ANNOTATIONS = ("id", "approval", "reason", "shadow", "urgent")
ID_LENGTH = 200
"""An @id stands in every fact about a call that the policy decided."""
ROUTES = "routes.yaml"
"""How a mistake names the routes: which file they came from is not known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPolicy:
    """One policy that passed every check."""

    id: str
    effect: Literal["permit", "forbid"]
    annotations: Mapping[str, str]
    """An annotation without a value has the value ""."""
    text: str
    digest: str
    """SHA-256 of the text's words, hex: layout, comments and files do not count."""
    file: str
    line: int
    actions: frozenset[str] | None
    """The tools that its scope can match; None: all."""
    about: About

    @property
    def group(self) -> str:
        """The approval that lifts this forbid; empty if nothing does."""
        return self.annotations.get("approval", "")

    @property
    def shadow(self) -> bool:
        """It is evaluated and recorded, and never enforced."""
        return "shadow" in self.annotations

    @property
    def urgent(self) -> bool:
        """Its questions remind and escalate at any hour."""
        return "urgent" in self.annotations

    @property
    def reason(self) -> str:
        """The sentence for the agent and the approver."""
        if written := self.annotations.get("reason"):
            return written
        if self.effect == "permit":
            return f'Policy "{self.id}" permits this call.'
        if self.group:
            return f'Policy "{self.id}" asks for an approval by "{self.group}".'
        return f'Policy "{self.id}" forbids this call.'


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPolicies:
    """All policies, in the order of files and lines, and the schema they were checked against."""

    policies: tuple[LoadedPolicy, ...]
    schema: str
    digest: str
    """SHA-256 over the schema and all policies, hex; the same however they are spread over files."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement that Cedar reads as one policy, before anything else is known of it."""

    statement: Statement
    tree: Mapping[str, object]
    annotations: Mapping[str, str]
    about: About

    @property
    def id(self) -> str:
        return self.annotations.get("id", "")

    def mistake(self, sentence: str, naming: str = "") -> Mistake:
        """At the line of the word that the sentence is about."""
        line = self.statement.line_naming(f"`{naming}`") if naming else self.statement.line
        return Mistake(self.statement.file, line, sentence)


def load_policies(directory: Path, routes: Routes) -> tuple[LoadedPolicies | None, list[Mistake]]:
    """Every policy below the directory, or None and everything that is wrong, in the order of files and lines."""
    found = [Mistake(ROUTES, 0, sentence) for sentence in obstacles(routes)]
    schema_stands = not found
    drafts = _drafts(directory, found)
    vocabulary, checked = Vocabulary(routes), []
    for draft in drafts:
        found += _group_mistakes(draft, routes)
        checked.append(Checked(draft.statement, draft.about, vocabulary.scope(draft.about), draft.id))
    for one in checked:
        found += name_mistakes(one, vocabulary)
    if schema_stands:
        found += type_mistakes(checked, vocabulary)
    if found:
        return None, sorted(set(found))
    return _assembled(drafts, checked, routes), []


def mistakes_of_text(directory: Path) -> list[Mistake]:
    """What is wrong whatever the routes say, which are wrong themselves: so both are told at once."""
    found: list[Mistake] = []
    _drafts(directory, found)
    return sorted(set(found))


def _drafts(directory: Path, found: list[Mistake]) -> list[Draft]:
    """Every policy that can be read, and what its text alone says is wrong."""
    drafts: list[Draft] = []
    read = 0
    for statement in _read(directory, found):
        read += 1
        if draft := _parse(statement, found):
            drafts.append(draft)
    if not read and not found:
        found.append(
            Mistake(str(directory), 0, "there is no policy here, so nothing would be permitted; write a permit")
        )
    found += _repeated_ids(drafts)
    for draft in drafts:
        found += _annotation_mistakes(draft)
    return drafts


def _assembled(drafts: Iterable[Draft], checked: Iterable[Checked], routes: Routes) -> LoadedPolicies:
    policies = tuple(
        LoadedPolicy(
            id=draft.id, effect="permit" if draft.tree["effect"] == "permit" else "forbid",
            annotations=draft.annotations, text=draft.statement.text, digest=draft.statement.digest,
            file=draft.statement.file, line=draft.statement.line, actions=one.actions, about=draft.about,
        )
        for draft, one in zip(drafts, checked, strict=True)
    )  # fmt: skip
    schema = cedar_schema(routes)
    parts = [schema, *sorted(policy.digest for policy in policies)]
    digest = hashlib.sha256(joined([part.encode() for part in parts])).hexdigest()
    return LoadedPolicies(policies=policies, schema=schema, digest=digest)


def _read(directory: Path, found: list[Mistake]) -> Iterator[Statement]:
    if not directory.is_dir():
        sentence = (
            "--policies is not a directory; give the directory that holds the *.cedar files"
            if directory.exists()
            else "the policies' directory does not exist; make it, with *.cedar files in it"
        )
        found.append(Mistake(str(directory), 0, sentence))
        return
    there = policy_files(directory)
    found += there.mistakes
    for path in there.files:
        try:
            source = path.read_bytes()
            text = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            found.append(Mistake(str(path), line, "this is not UTF-8 text; save the file as UTF-8"))
        except OSError as error:
            found.append(Mistake(str(path), 0, f"the file cannot be read: {error.strerror or error}"))
        else:
            yield from statements(str(path), text)


def _parse(statement: Statement, found: list[Mistake]) -> Draft | None:
    try:
        if too_deep(statement):
            raise RecursionError
        parsed = json.loads(policies_to_json_str(statement.text))
        tree = next(iter(parsed["staticPolicies"].values()), None)
        read = about(tree) if tree else None
    except RecursionError:
        sentence = "this policy is too long or too deeply nested to be read safely; split it, or list values in a set"
        found.append(Mistake(statement.file, statement.line, sentence))
        return None
    except ValueError as error:
        line, complaint = stopped_at(statement, str(error))
        found.append(Mistake(statement.file, line, f"this is not Cedar: {complaint}"))
        return None
    if parsed["templates"]:
        sentence = "this is a template (it has a slot such as ?principal), which nothing links; write a name instead"
        found.append(Mistake(statement.file, statement.line_naming("`principal`"), sentence))
        return None
    if tree is None or read is None or len(parsed["staticPolicies"]) != 1:
        found.append(Mistake(statement.file, statement.line, "expected one policy here; remove what is not one"))
        return None
    annotations = {name: value or "" for name, value in tree.get("annotations", {}).items()}
    return Draft(statement, tree, annotations, read)


def _annotation_mistakes(draft: Draft) -> Iterator[Mistake]:
    given = draft.annotations
    for name in sorted(given.keys() - set(ANNOTATIONS)):
        yield draft.mistake(f"there is no annotation @{name}; {near(name, ANNOTATIONS, mark='@')}", name)
    if "id" not in given:
        yield draft.mistake('this policy has no @id; write @id("...") before it, a name that no other policy has')
    elif not 0 < len(draft.id) <= ID_LENGTH or not draft.id.isprintable():
        yield draft.mistake(f"an @id must have 1 to {ID_LENGTH} printable characters", "id")
    if given.get("reason") == "":
        yield draft.mistake('@reason needs a sentence: @reason("...")', "reason")
    if given.get("shadow"):
        yield draft.mistake("@shadow takes no value: the policy is in shadow while @shadow stands there", "shadow")
    if given.get("urgent"):
        yield draft.mistake("@urgent takes no value: it is urgent because @urgent stands there", "urgent")
    if "approval" not in given:
        if "urgent" in given:
            yield draft.mistake("@urgent is about an approval: write @approval beside it", "urgent")
        return
    if draft.tree["effect"] == "permit":
        yield draft.mistake(
            "@approval is for forbids: it names who may lift one. Write a forbid beside this permit", "approval"
        )


def _group_mistakes(draft: Draft, routes: Routes) -> Iterator[Mistake]:
    group = draft.annotations.get("approval")
    if group is not None and group not in routes.groups:
        known = near(group, routes.groups)
        yield draft.mistake(f'@approval("{group}") names no group under `approvals`; {known}', "approval")


def _repeated_ids(drafts: Iterable[Draft]) -> Iterator[Mistake]:
    places: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        if draft.id:
            places[draft.id].append(draft)
    for name, holders in places.items():
        first = holders[0].statement
        for other in holders[1:]:
            yield other.mistake(f'@id("{name}") is already taken, by {first.file}:{first.line}; choose another', "id")
