"""Each notice goes to the adapter of its channel, with the secret as it is at that moment."""

import asyncio

from gateway.adapters.channels import Channels
from gateway.core.notices import Message
from gateway.core.routes import SecretReference, Webhook
from gateway.ports import Delivery, SecretMissing

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

    return asyncio.run(Channels(read, post).deliver(channel, MESSAGE, now)), posted


def test_a_webhook_gets_the_body_under_the_notices_id_in_whole_seconds():
    delivery, posted = deliver(HOOK, secrets={"HOOK": "whsec_x"})
    body = b'{"type":"approval.requested","data":{"call":"c-1"}}'
    assert posted == [("https://approvals.example/hook", "whsec_x", "n-1", body, 1_763_633_000)]
    assert delivery is TAKEN


def test_a_secret_that_is_missing_is_a_failed_delivery_and_nothing_is_sent():
    delivery, posted = deliver(HOOK, secrets={})
    assert (delivery.status, delivery.done, delivery.gone, posted) == (0, False, False, [])
    assert "set the environment variable HOOK" in delivery.error
