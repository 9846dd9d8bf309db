"""The channels of a group: what `notify` says, and whether anybody would hear through each and could decide.

A group hears of a question through at least one channel that can work (promise 11). Whether secrets and the mail
server are there is asked in references.py, because that is not written in the file.
"""

from collections.abc import Iterator, Mapping

from gateway.config.models import GroupModel, NotifyModel
from gateway.config.sentences import nearest
from gateway.config.yaml_lines import Path
from gateway.core.routes import WAYS, Channel, EmailChannel, Person, Slack, Way, Webhook

ONE_VOUCHES = (
    "one callback secret can assert every vote, so a quorum of {quorum} proves nothing; say `trusted: true` if that "
    "system may be trusted to name each voter, or remove `callback_secret`"
)

ONLY_SLACK = (
    "decisions are made in Slack only and the quorum is {quorum}, but of the members {known} has `slack` under "
    "`people`; add it to the others"
)


def channel(model: NotifyModel, members: list[str]) -> Channel:
    """What one entry of `notify` means for a group with these members."""
    if model.slack is not None:
        return Slack(
            channel=model.slack.channel,
            workspace=model.slack.workspace,
            token=model.slack.token.reference(),
            signing_secret=model.slack.signing_secret.reference(),
        )
    if model.email is not None:
        return EmailChannel(people=model.email or tuple(members))
    assert model.webhook is not None, "the model demands one of the three"
    assert model.secret is not None, "the model demands it with a webhook"
    callback = model.callback_secret
    return Webhook(
        url=model.webhook,
        secret=model.secret.reference(),
        callback_secret=callback.reference() if callback else None,
    )


def findings(model: GroupModel, people: Mapping[str, Person], named: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """What is wrong with the channels of a group. `named`: every person, also those with mistakes."""
    seen: list[object] = []
    for position, entry in enumerate(model.notify):
        what, address = _address(entry, model.members)
        if address in seen:
            said = {"webhook": "this webhook", "slack": "this channel", "email": "this list of people"}[what]
            yield ("notify", position, what), f"{said} is already listed; nobody needs to hear twice"
        seen.append(address)
        if entry.callback_secret and model.quorum > 1 and not model.trusted:
            yield ("notify", position, "callback_secret"), ONE_VOUCHES.format(quorum=model.quorum)
        for name in (entry.email or tuple(model.members)) if entry.email is not None else ():
            if sentence := _unreachable(name, people, named):
                yield ("notify", position, "email"), sentence
    yield from _undecidable(model, people)
    yield from _unheard(model, people)


def _address(entry: NotifyModel, members: list[str]) -> tuple[str, object]:
    if entry.slack is not None:
        return "slack", (entry.slack.workspace, entry.slack.channel)
    if entry.email is not None:
        return "email", frozenset(entry.email or members)
    return "webhook", entry.webhook


def _unreachable(name: str, people: Mapping[str, Person], named: frozenset[str]) -> str:
    if name not in named:
        return f"there is no person `{name}` under `people`; {nearest(name, named)}"
    if name in people and not people[name].email:
        return f"`{name}` has no `email` under `people`, so would not hear of it; add the address"
    return ""


def _unheard(model: GroupModel, people: Mapping[str, Person]) -> Iterator[tuple[Path, str]]:
    """People to whom it is escalated and whom no channel of the group reaches. A webhook is taken to reach all."""
    for position, item in enumerate(model.escalate):
        for name in item.to:
            person = people.get(name)
            if person is None or not model.notify or any(_reaches(entry, person) for entry in model.notify):
                continue
            lacks = " or ".join(dict.fromkeys("`slack`" if entry.slack else "`email`" for entry in model.notify))
            path: Path = ("escalate",) if len(model.escalate) == 1 else ("escalate", position)
            yield path, f"`{name}` would not hear of this escalation; add {lacks} under `people`"


def _reaches(entry: NotifyModel, person: Person) -> bool:
    if entry.slack is not None:
        return bool(person.slack)
    return bool(person.email) if entry.email is not None else True


def _undecidable(model: GroupModel, people: Mapping[str, Person]) -> Iterator[tuple[Path, str]]:
    """Ways of deciding that the group names and does not have."""
    if model.decide_in is None:
        return
    callbacks = any(entry.callback_secret for entry in model.notify)
    has: Mapping[Way, bool] = dict.fromkeys(WAYS, True) | {
        "slack": any(entry.slack for entry in model.notify),
        "webhook": callbacks,
    }
    lacks = {"slack": "a `slack` channel under `notify`", "webhook": "a webhook with a `callback_secret`"}
    for position, way in enumerate(model.decide_in):
        if not has[way]:
            yield ("decide_in", position), f"nobody could decide in `{way}`: the group has not {lacks[way]}"
    known = [name for name in model.members if name in people and people[name].slack]
    if model.decide_in == ["slack"] and len(known) < model.quorum:
        yield ("decide_in",), ONLY_SLACK.format(quorum=model.quorum, known=", ".join(known) or "nobody")
