"""The bytes of a request that people were asked about are destroyed once it is over and nothing is owed to anybody."""

from functools import partial

import pytest

from gateway.core.facts import Delivered, Lost
from gateway.core.owed import served
from gateway.ports import Delivery, NeverSent, SendLost
from tests.company import Generation, Policies, allow, deny
from tests.test_delivery import TAKEN, failing, live, receiving
from tests.world import Behaviour, World, held

WORKING = {"request", "original", "preview"}


def left(world, call):
    """What of the request is still there."""
    return WORKING & set(world.journal.payloads[call])


def told(world, answer=lambda _: TAKEN):
    """Those who were asked hear of everything that they are to hear."""
    receiver = receiving(world, answer)
    live(world, receiver)
    return receiver


def over(world, call):
    world.live(partial(world.engine().unattended, call))


def rejected(world, call):
    world.live(partial(world.vote, call, approve=False))
    over(world, call)


def expired(world, call):
    world.restart(later=2 * 3_600_000)
    over(world, call)


def denied(world, call):
    world.generation = Generation(policies=Policies(deny))
    world.live(partial(world.vote, call))
    over(world, call)


def unsent(world, call):
    world.live(partial(world.vote, call))
    world.upstream.script = [Behaviour(acts=False, raises=NeverSent("refused"))]
    over(world, call)


@pytest.mark.parametrize("end", [rejected, expired, denied, unsent])
def test_of_a_call_that_was_not_made_nothing_is_left_once_everybody_has_heard(end):
    world, call = held()
    assert left(world, call) == {"request"}
    end(world, call)
    assert left(world, call) == {"request"}, "the news of its end says what it was about"
    news = [message.body["data"]["summary"] for _, message in told(world).came]
    assert news and all("amount=5" in line for line in news[-1:])
    assert not left(world, call)
    assert world.journal.payloads[call]["salt"], "with what is left of the payload, until its time is over"


def test_news_that_nobody_takes_in_the_end_keep_nothing_for_ever():
    world, call = held()
    rejected(world, call)
    told(world, lambda _: failing())
    assert not left(world, call)


def test_a_receiver_that_wants_no_more_notices_keeps_nothing():
    world, call = held()
    rejected(world, call)
    told(world, lambda _: Delivery(status=410, done=False, gone=True, error="gone"))
    assert not left(world, call)


def made(world, call):
    world.live(partial(world.vote, call))
    over(world, call)
    told(world)


def test_of_a_call_that_was_made_the_request_is_there_until_its_answer_is_handed_over():
    world, call = held()
    made(world, call)
    assert left(world, call) == {"request"}
    world.live(partial(world.engine().note, call, Delivered(polled=True)))
    assert left(world, call) == {"request"}, "whoever only polled may ask again, and is judged again"
    world.live(partial(world.engine().note, call, Delivered()))
    assert not left(world, call)
    assert set(world.journal.payloads[call]) == {"salt", "answer"}


def test_the_order_of_delivery_and_news_does_not_matter():
    world, call = held()
    world.live(partial(world.vote, call))
    over(world, call)
    world.live(partial(world.engine().note, call, Delivered()))
    assert left(world, call) == {"request"}
    told(world)
    assert not left(world, call)


def test_what_was_superseded_and_what_was_shown_go_too():
    world, call = held()
    world.journal.payloads[call] |= {"original": b"the agent's own", "preview": b"[]"}
    rejected(world, call)
    told(world)
    assert not left(world, call)


def test_a_call_in_doubt_keeps_what_it_sent():
    world, call = held()
    world.live(partial(world.vote, call))
    world.upstream.script = [Behaviour(raises=SendLost("reset"))]
    over(world, call)
    told(world)
    assert isinstance(world.outcome(call), Lost)
    assert left(world, call) == {"request"}


def test_a_call_that_nobody_was_asked_about_is_none_of_this():
    world = World(generation=Generation(policies=Policies(allow)))
    world.live(world.ask)
    [call] = world.calls
    world.live(partial(world.engine().note, call, Delivered()))
    assert left(world, call) == {"request"}, "it judges whoever polls for the answer"
    assert not served(world.record(call))
