"""Facts about the deployment itself and about no call: what configuration there was, and what people did to it.

They stand in a log of their own, partition `64`, beside those of the 64 partitions of calls. An auditor reads there
which files a generation was made of, and who stopped an agent, let a loss be, or had payloads erased. Like all facts
they decode for ever, and carry no secret and no payload.
"""

from gateway.core.call import PARTITION_NAMES
from gateway.core.value import keyword_value

DEPLOYMENT = "64"
"""The partition of these facts, as the name of its log."""
LOGS = (*PARTITION_NAMES, DEPLOYMENT)
"""Names of all logs."""
NAME = "deployment"
"""What they are about, in the place of a call's id."""


@keyword_value
class LoadedFile:
    """One file of a configuration."""

    name: str
    """Relative to where the configuration is; `routes.yaml`, `policies/refunds.cedar`."""
    sha256: str


@keyword_value
class Loaded:
    """A generation may serve from now on. Written once per generation, before its first verdict."""

    generation: str
    """The digest that verdicts name."""
    files: tuple[LoadedFile, ...]
    version: str
    """Of the gateway that loaded it first."""
    at: int = 0


@keyword_value
class AgentSuspended:
    """A person stopped an agent: no claim and no disclosure of it is written from this moment."""

    agent: str
    by: str
    at: int = 0


@keyword_value
class AgentReadmitted:
    """A person let a suspended agent act again."""

    agent: str
    by: str
    at: int = 0


@keyword_value
class LossAcknowledged:
    """A person knows that the journal came back with less than it had acknowledged, and effects go on."""

    by: str
    loss: str
    """What was missing, in a sentence."""
    at: int = 0


@keyword_value
class Erased:
    """Payloads that were kept for the record were destroyed before their time, at somebody's word."""

    by: str
    reason: str
    calls: tuple[str, ...]
    """Whose payloads; their facts, with the digests, stay."""
    at: int = 0


DeploymentFact = Loaded | AgentSuspended | AgentReadmitted | LossAcknowledged | Erased
