"""Ladders and absences of routes.yaml, as values, and what is wrong with them.

A question must reach somebody while it can still be answered: a reminder after the end, an escalation to a person who
may not decide, an end that no working hour precedes, a delegate who could not stand in; each stops the start.
"""

from collections.abc import Iterator, Mapping

from gateway.config.models import AwayModel, EscalationModel, GroupModel, HoursModel
from gateway.config.sentences import nearest
from gateway.config.yaml_lines import Path
from gateway.core.routes import Away, Escalation, Hours, Person
from gateway.core.working_hours import longest_pause

HOUR_MS = 3_600_000


def escalations(model: GroupModel, members: Mapping[str, list[str]]) -> tuple[Escalation, ...]:
    """`members` by group: an escalation to a group is one to its members."""
    return tuple(_escalation(item, members) for item in model.escalate)


def _escalation(model: EscalationModel, members: Mapping[str, list[str]]) -> Escalation:
    groups = tuple(name for name in model.to if name in members)
    people = (person for name in model.to for person in members.get(name, [name]))
    return Escalation(after_seconds=model.after, people=tuple(dict.fromkeys(people)), groups=groups)


def hours(model: HoursModel | None) -> Hours | None:
    if model is None:
        return None
    return Hours(timezone=model.tz, days=model.days, begin=model.begin, end=model.end)


def away(model: AwayModel | None) -> Away | None:
    return Away(begin=model.begin or 0, until=model.until, delegate=model.delegate) if model else None


def findings(
    model: GroupModel, people: Mapping[str, Person], members: Mapping[str, list[str]]
) -> Iterator[tuple[Path, str]]:
    """What cannot be about a group's ladder, each with its place in the group."""
    for position, seconds in enumerate(model.remind):
        if seconds >= model.expire:
            yield (
                ("remind",),
                f"reminder {position + 1} would come when the question is over (`expire`); make it earlier",
            )
    for position, item in enumerate(model.escalate):
        path: Path = ("escalate",) if len(model.escalate) == 1 else ("escalate", position)
        if item.after >= model.expire:
            yield path, "this escalation would come when the question is over (`expire`); make it earlier"
        for name in item.to:
            if name not in members and name not in people:
                known = nearest(name, [*people, *members])
                yield path, f"there is neither a person nor a group `{name}` to escalate to; {known}"
            elif name not in members and "approver" not in people[name].roles:
                yield (
                    path,
                    f"`{name}` has no role approver, so an escalation could not be decided; add it under `people`",
                )
    if (found := hours(model.hours)) is not None and model.expire * 1000 <= longest_pause(found) + HOUR_MS:
        pause = longest_pause(found) // HOUR_MS
        yield (
            ("expire",),
            (
                "a question asked when work ends would be over before anybody works again: `hours` pause for up to "
                f"{pause} hours (and an hour when clocks change); let it expire later"
            ),
        )


def absence(person: Person, people: Mapping[str, Person]) -> str:
    """Why the delegate of an absent person could not decide in their place; empty if they could."""
    gone = person.away
    if gone is None:
        return ""
    if gone.delegate == person.name:
        return "the delegate must be somebody else"
    if gone.delegate not in people:
        return (
            f"there is no person `{gone.delegate}` under `people` to be the delegate; {nearest(gone.delegate, people)}"
        )
    if "approver" in person.roles and "approver" not in people[gone.delegate].roles:
        return f"the delegate `{gone.delegate}` has no role approver, so nobody could decide in their place"
    return ""
