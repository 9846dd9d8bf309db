"""What an open card is given when it looks again: how the call stands, and its form taken away only for good."""

import pytest

from gateway.console.card import card
from gateway.console.rendering import page
from gateway.console.sessions import Session
from tests.company import NIGHT, PEOPLE
from tests.world import World, held

SESSION = Session(person=PEOPLE["bob"], id="s", csrf="c", until=1)


def looks(world: World, call: str, seen: str = "") -> tuple[str, str]:
    """The tone of the card that bob sees, and the part that his browser gets; `seen`: the question on his screen."""

    async def story() -> tuple[str, str]:
        shown = await card(await world.load(call), world.journal, "bob")
        part = page("part.html", session=SESSION, card=shown, seen=seen or shown.shown, present=[], now=NIGHT)
        return shown.became.tone, bytes(part.body).decode()

    found: tuple[str, str] = world.live(story)
    return found


def on_screen(world: World, call: str) -> str:
    async def story() -> str:
        return (await card(await world.load(call), world.journal, "bob")).shown

    found: str = world.live(story)
    return found


def test_while_a_vote_is_being_weighed_the_form_of_everybody_else_stays():
    """Of two people who have to say yes, one has; who looks in this moment would never get the buttons back."""
    world, call = held()
    seen = on_screen(world, call)
    world.live(lambda: world.vote(call), lingers=False)
    tone, part = looks(world, call, seen)
    assert tone == "going" and "decide" not in part


@pytest.mark.parametrize("approve", [True, False])
def test_once_it_is_over_there_is_nothing_to_press(approve):
    world, call = held()
    seen = on_screen(world, call)
    world.live(lambda: world.vote(call, approve=approve))
    world.live(lambda: world.engine().unattended(call))
    assert world.outcome(call) is not None
    _, part = looks(world, call, seen)
    assert '<div id="decide" hx-swap-oob="true"></div>' in part


def test_another_question_takes_the_place_of_the_form():
    world, call = held()
    assert "The question has changed" in looks(world, call, "another")[1]
    assert "decide" not in looks(world, call)[1]
