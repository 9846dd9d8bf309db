"""Each notice goes to the adapter of its channel, with the secret as it is at that moment."""

import asyncio

from gateway.adapters.channels import Channels
from gateway.core.messages import Message
from gateway.core.routes import EmailChannel, SecretReference, Slack, Webhook
from gateway.ports import Delivery, SecretMissing

SECRET = SecretReference("env", "TOKEN")
SLACK = Slack(channel="C1", workspace="T1", token=SECRET, signing_secret=SecretReference("env", "SIGNING"))
HOOK = Webhook(url="https://approvals.example/hook", secret=SecretReference("env", "HOOK"))
MESSAGE = Message(id="n-1", body={"type": "approval.requested", "data": {"call": "c-1"}})
TAKEN = Delivery(status=200, done=True, error="")


def deliver(channel, *, secrets, now=1_763_633_000_999):
    posted = []

    def read(reference):
        if reference.name not in secrets:
            raise SecretMissing(f"the credential is missing: set the environment variable {reference.name}")
        return secrets[reference.name]

    async def post(*arguments):
        posted.append(arguments)
        return TAKEN

    channels = Channels(read_secret=read, post=post, chat=post, mail=post)
    return asyncio.run(channels.deliver(channel, MESSAGE, now)), posted


def test_a_webhook_gets_the_body_under_the_notices_id_in_whole_seconds():
    delivery, posted = deliver(HOOK, secrets={"HOOK": "whsec_x"})
    body = b'{"type":"approval.requested","data":{"call":"c-1"}}'
    assert posted == [("https://approvals.example/hook", "whsec_x", "n-1", body, 1_763_633_000)]
    assert delivery is TAKEN


def test_a_secret_that_is_missing_is_a_failed_delivery_and_nothing_is_sent():
    delivery, posted = deliver(HOOK, secrets={})
    assert (delivery.status, delivery.done, delivery.gone, posted) == (0, False, False, [])
    assert "set the environment variable HOOK" in delivery.error


def test_slack_gets_the_message_for_its_channel_with_the_token_of_that_moment():
    delivery, posted = deliver(SLACK, secrets={"TOKEN": "xoxb-1"})
    assert posted == [("C1", "xoxb-1", MESSAGE)] and delivery is TAKEN
    delivery, posted = deliver(SLACK, secrets={})
    assert posted == [] and "set the environment variable TOKEN" in delivery.error


def test_the_mailer_gets_the_message_and_the_time():
    delivery, posted = deliver(EmailChannel(people=("ann",)), secrets={})
    assert posted == [(MESSAGE, 1_763_633_000_999)] and delivery is TAKEN
