"""Cards in a chat follow what people say, and a change that comes late never stands over the news of the end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from gateway import refreshing
from gateway.core.facts import Escalated, Notified
from gateway.core.messages import Message
from gateway.core.routes import SecretReference, Slack
from gateway.ports import Delivery, SecretMissing
from gateway.refreshing import Refreshing
from tests.company import FINANCE, ROUTES, Generation, Policies, holding, with_group
from tests.world import World, held

KEY = SecretReference("env", "SLACK")
CHANNEL = Slack(channel="C1", workspace="T1", token=KEY, signing_secret=KEY)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(refreshing, "LOOK_SECONDS", 0)


@dataclass
class Chat:
    said: list[Message] = field(default_factory=list)
    places: list[tuple[str, str, str]] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """Happens once, while a card is being changed."""

    async def change(self, channel: str, token: str, message: Message) -> Delivery:
        self.places.append((channel, token, message.receipt))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        self.said.append(message)
        return Delivery(status=200, done=True, error="")

    @property
    def told(self) -> list[object]:
        return [message.body["data"].get("so_far", message.body["type"]) for message in self.said]


def asked(*, card: bool = True) -> tuple[World, str]:
    """A call that waits for two of finance, and its card in the chat."""
    routes = with_group("finance", ROUTES, quorum=2, channels=(CHANNEL,))
    world, call = held(World(generation=Generation(routes=routes, policies=Policies(holding(FINANCE)))))
    (notice,) = world.record(call).notices
    if card:
        world.live(
            partial(note, world, call, Notified(notice=notice.id, attempt=1, status=200, done=True, receipt="C1:17"))
        )
    return world, call


async def note(world: World, call: str, fact: Notified | Escalated) -> None:
    life = await world.load(call)
    life.add(replace(fact, at=world.now))
    await world.engine().flush(life)


def follow(world: World, chat: Chat, secret: Callable[[SecretReference], str] = lambda _: "xoxb") -> World:
    """The same, and everything that is written in it is followed by the cards."""
    engine = world.engine
    world.engine = lambda: Refreshing(chat.change, secret, "http://c").following(engine())  # type: ignore[method-assign]
    return world


async def votes(world: World, call: str, by: str, *, approve: bool = True) -> None:
    await world.vote(call, by, approve=approve)
    await world.engine().unattended(call)


def test_a_vote_is_on_the_card_and_the_question_stays():
    world, call = asked()
    follow(world, chat := Chat())
    world.live(partial(votes, world, call, "ann"))
    assert chat.told[-1] == ["1 of 2 said yes: ann."] and set(chat.places) == {("C1", "xoxb", "C1:17")}
    (message, *_) = chat.said
    assert message.body["type"] == "approval.requested" and message.body["data"]["fingerprint"]


def test_whom_it_waits_for_too_is_on_the_card():
    world, call = asked()
    follow(world, chat := Chat())
    world.live(partial(note, world, call, Escalated(group="finance", to=("olga",), notices=())))
    assert chat.told[-1] == ["It also waits for olga."]


def test_where_no_card_stands_nothing_is_changed():
    world, call = asked(card=False)
    follow(world, chat := Chat())
    world.live(partial(votes, world, call, "ann"))
    assert chat.places == []


@pytest.mark.parametrize("approve", [True, False])
def test_what_ends_while_a_card_is_changed_stands_last(approve):
    world, call = asked()
    follow(world, chat := Chat())
    chat.meanwhile = partial(votes, world, call, "bob", approve=approve)
    world.live(partial(votes, world, call, "ann"))
    assert chat.told[0] == ["1 of 2 said yes: ann."] and chat.told[-1] == "call.finished"
    assert chat.said[-1].body["data"]["outcome"] == ("Done" if approve else "Rejected")


def test_a_secret_that_is_missing_harms_nobody():
    world, call = asked()

    def missing(reference: SecretReference) -> str:
        raise SecretMissing(reference)

    follow(world, Chat(), missing)
    world.live(partial(votes, world, call, "ann"))
    world.live(partial(votes, world, call, "bob"))
    assert world.effects == 1
