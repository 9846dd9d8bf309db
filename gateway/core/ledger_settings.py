"""What routes.yaml says of the ledger: where it is kept, what signs it, who else keeps its checkpoints.

Like the rest of `Routes` these are values without a mistake and without a secret; empty means the default, which
depends on the data directory and so is known to the process that has one.
"""

from dataclasses import dataclass

from gateway.core.secret_reference import SecretReference

DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDirectory:
    """A second home of the log that every host can reach: a network file system."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The same in any store that speaks the API of S3."""

    name: str
    prefix: str = ""
    """Put before every path, without slashes at its ends; empty: the log is at the root of the bucket."""
    endpoint: str = ""
    """Where the store is; empty: AWS in that region."""
    region: str = "us-east-1"
    access_key: SecretReference | None = None
    """None, like the other: the machine's own identity (AWS_* variables, a role)."""
    secret_key: SecretReference | None = None


Store = SharedDirectory | Bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorWebhook:
    """A system of somebody else that is told every checkpoint, signed as notices are."""

    url: str
    secret: SecretReference
    every_seconds: float = 60.0
    """At most so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorFile:
    """A file elsewhere to which checkpoints are appended."""

    path: str
    every_seconds: float = 60.0


Anchor = AnchorWebhook | AnchorFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """When the stream in Redis lets go of what is sealed and published. Either limit is enough."""

    after_seconds: float = 7 * DAY_SECONDS
    beyond: int = 1_000_000
    """Entries of all partitions together that stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    origin: str = ""
    """The name of the log; empty: that of the signing key."""
    directory: str = ""
    """Empty: `ledger` in the data directory."""
    key: SecretReference | None = None
    """Where the signing key is; None: `ledger.key` in the data directory, made at the first start."""
    store: Store | None = None
    anchors: tuple[Anchor, ...] = ()
    trim: Trim = Trim()
