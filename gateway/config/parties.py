"""People, agents and approval groups: who they are, who answers for whom, and whether every group is manned.

A held call always has somebody who will hear of it and who may vote (promises 10 and 11), so a group without a
notice, with fewer approvers than its quorum, or in which too few may vote for some agent, stops the start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.config import channels, ladders
from gateway.config.models import AgentModel, GroupModel, HashModel, PersonModel
from gateway.config.reading import PARTY_NAME, Definition, Reading
from gateway.config.sentences import nearest
from gateway.config.yaml_lines import Node, Path, items
from gateway.core.quota import Quota
from gateway.core.routes import WAYS, Agent, Group, Person, Routes

SILENT = "group `{name}` has no `notify`: nobody would hear of it; add a webhook, a Slack channel or e-mail"


@dataclass(slots=True)
class Parties:
    people: dict[str, Person] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    """Every person there is a definition of, also if it has mistakes."""


def parties(sections: Mapping[str, Node], reading: Reading) -> Parties:
    """Everybody the file defines. What is wrong is noted and left out."""
    found = Parties(named=frozenset(name for name, _ in items(sections.get("people"))))
    holders: dict[str, str] = {}
    _people(sections, holders, found, reading)
    for definition in reading.definitions(sections.get("agents"), "agent", PARTY_NAME):
        _tokens(definition, "keys", holders, reading)
        if (agent := reading.validated(AgentModel, definition)) and reading.findings(
            definition, known_person(agent.owner, found.named, "owner")
        ):
            found.agents[definition.name] = Agent(
                name=definition.name, owner=agent.owner, teams=tuple(agent.teams), keys=_digests(agent.keys),
                questions=Quota(*agent.questions) if agent.questions else None, storage=agent.storage,
            )  # fmt: skip
    members = _members(sections)
    for definition in reading.definitions(sections.get("approvals"), "group", PARTY_NAME):
        model = reading.validated(GroupModel, definition)
        if model is None:
            continue
        wrong_here = (*_group_findings(definition.name, model, found), *ladders.findings(model, found.people, members))
        if reading.findings(definition, iter(wrong_here)):
            group = _group(definition.name, model, members)
            found.groups[group.name] = group
            for sentence in _unmanned(group, found.agents.values()):
                reading.note(definition.place, sentence)
    return found


def _slack_user(name: str, user: str, users: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """A user of Slack who is two people would let one of them vote twice."""
    if user and users.setdefault(user, name) != name:
        yield ("slack",), f"this user of Slack is already `{users[user]}`; one user is one person"


def _people(sections: Mapping[str, Node], holders: dict[str, str], found: Parties, reading: Reading) -> None:
    users: dict[str, str] = {}
    definitions = list(reading.definitions(sections.get("people"), "person", PARTY_NAME))
    for definition in definitions:
        _tokens(definition, "tokens", holders, reading)
        person = reading.validated(PersonModel, definition)
        if person and reading.findings(definition, _slack_user(definition.name, person.slack, users)):
            found.people[definition.name] = Person(
                name=definition.name,
                email=person.email,
                oidc=person.oidc,
                roles=frozenset(person.roles),
                tokens=_digests(person.tokens),
                slack=person.slack,
                away=ladders.away(person.away),
            )
    for definition in definitions:
        known = found.people.get(definition.name)
        if known and (wrong := ladders.absence(known, found.people)):
            reading.note(definition.at("away"), f"{definition.title}: {wrong}")


def _members(sections: Mapping[str, Node]) -> dict[str, list[str]]:
    """Who is listed where, as far as it can be read: an escalation may name a group that stands further below."""
    found: dict[str, list[str]] = {}
    for name, node in items(sections.get("approvals")):
        plain = node.plain()
        listed = plain.get("members") if isinstance(plain, dict) else None
        found[name] = [str(member) for member in listed] if isinstance(listed, list) else []
    return found


def _digests(entries: Sequence[HashModel]) -> tuple[str, ...]:
    return tuple(entry.sha256 for entry in entries)


def _tokens(definition: Definition, where: str, holders: dict[str, str], reading: Reading) -> None:
    """Note a key that somebody (else) holds already: it would name two callers."""
    if not isinstance(definition.node.value, dict) or where not in definition.node.value:
        return
    entries = definition.node.value[where].plain()
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        digest = entry.get("sha256") if isinstance(entry, dict) else None
        if not isinstance(digest, str):
            continue
        place = definition.at(where, position, "sha256")
        if holder := holders.get(digest.lower()):
            reading.note(place, f"this key is already that of {holder}; make a new one for each caller")
        else:
            holders[digest.lower()] = f"{definition.title} ({place})"


def known_person(name: str, people: frozenset[str], role: str) -> Iterator[tuple[Path, str]]:
    if name not in people:
        yield (role,), f"there is no person `{name}` under `people`; {nearest(name, people)}"


def _group_findings(name: str, model: GroupModel, found: Parties) -> Iterator[tuple[Path, str]]:
    for position, member in enumerate(model.members):
        path = ("members", position)
        if member not in found.named:
            yield path, f"there is no person `{member}` under `people`; {nearest(member, found.named)}"
        elif member in found.people and "approver" not in found.people[member].roles:
            yield path, f"`{member}` is a member of `{name}` but has no role approver; add it under `people`"
    if model.quorum > len(model.members):
        count = len(model.members)
        yield ("quorum",), f"`quorum` is {model.quorum}, but `{name}` has only {count} to vote; it could never be met"
    if not model.notify:
        yield (), SILENT.format(name=name)
    yield from channels.findings(model, found.people, found.named)


def _group(name: str, model: GroupModel, members: Mapping[str, list[str]]) -> Group:
    return Group(
        name=name,
        members=tuple(model.members),
        quorum=model.quorum,
        channels=tuple(channels.channel(entry, model.members) for entry in model.notify),
        decide_in=tuple(model.decide_in or WAYS),
        expire_seconds=model.expire,
        trusted=model.trusted,
        remind_seconds=tuple(sorted(model.remind)),
        escalations=ladders.escalations(model, members),
        hours=ladders.hours(model.hours),
        batch=Quota(*model.batch) if model.batch else None,
        undo_seconds=model.undo,
        allow_owner=model.allow_owner,
        standing_seconds=model.standing.longest if model.standing else 0.0,
    )


def _unmanned(group: Group, agents: Iterable[Agent]) -> Iterator[str]:
    """Nobody approves what they requested, and an agent requests in the name of its owner."""
    for agent in agents:
        eligible = [member for member in group.members if group.allow_owner or member != agent.owner]
        if len(eligible) < group.quorum <= len(group.members):
            may = "nobody" if not eligible else f"only {', '.join(eligible)}"
            yield (
                f"group `{group.name}` is unmanned for agent `{agent.name}`: {may} may vote (its owner `{agent.owner}` "
                f"may not), and the quorum is {group.quorum}; add a member"
            )


def unmanned(routes: Routes) -> list[str]:
    """Groups in which too few may vote for some agent, or of which nobody would hear. Empty for what loaded."""
    sentences = [sentence for group in routes.groups.values() for sentence in _unmanned(group, routes.agents.values())]
    silent = [SILENT.format(name=group.name) for group in routes.groups.values() if not group.channels]
    return sentences + silent
