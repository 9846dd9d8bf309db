"""Somebody, as an identity provider knows them. Who that is here is for routes.yaml to say."""

from gateway.core.value import positional_value


class NotIdentified(Exception):
    """The identity provider did not say who it is, or not so that it can be believed: a clause about it says why."""


class ProviderAway(NotIdentified):
    """It gave no answer, or none for anybody: this says nothing about who asks."""


@positional_value
class Identity:
    subject: str
    email: str
    """Empty unless the provider says that it has verified it."""
