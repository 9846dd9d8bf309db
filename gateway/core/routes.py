"""What routes.yaml says, as frozen values: systems, tools, people, groups, agents.

This file is the vocabulary the rest of the gateway reads. It knows nothing of YAML, lines, mistakes or secrets:
`gateway.config` turns files into these values or refuses to start, so whoever holds a `Routes` holds a valid one.
Nothing here may hold the value of a secret; a `SecretReference` says where one is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.core.ledger_settings import LedgerSettings
from gateway.core.previews import Preview
from gateway.core.quota import QUESTIONS, STORAGE, Quota
from gateway.core.recording import Recording
from gateway.core.secret_reference import SecretReference as SecretReference  # noqa: PLC0414 - one of these words
from gateway.core.summaries import Summary

Effect = Literal["read", "write", "destructive"]
BodyKind = Literal["json", "form", "none", "opaque"]
Place = Literal["path", "query", "body", "header"]


@dataclass(frozen=True, slots=True)
class Credential:
    """How the gateway proves itself to a system. The agent never holds, sees or chooses it."""

    kind: Literal["bearer", "basic", "header", "query"]
    secret: SecretReference
    name: str = ""
    """The header or query parameter for `header` and `query`; the user name for `basic`; empty for `bearer`."""
    prefix: str = ""
    """Text put before the secret in a header, such as `token `."""

    def __str__(self) -> str:
        """The credential reference that goes into the fingerprint: never the secret itself."""
        return ":".join((self.kind, self.name, self.prefix, str(self.secret)))


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of a path template: `{name}` takes one segment, `{name...}` all that remain (at least one)."""

    name: str
    rest: bool = False
    encoded: bool = False
    """True if the raw segment may contain encoded slashes, dots and percent signs (`encoded: allow`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One declared argument of a tool."""

    name: str
    place: Place
    schema: Mapping[str, object]
    """JSON Schema (draft 2020-12) of the value, without our own words `optional`, `encoded` and `in`."""
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One named operation of a system."""

    name: str
    """In full: `stripe.create_refund`. It is also the id of the Cedar action."""
    system: str
    method: str
    template: tuple[str | Variable, ...]
    """The path below the system's root, split at slashes: literal segments (raw) and variables."""
    effect: Effect
    body: BodyKind = "none"
    parameters: tuple[Parameter, ...] = ()
    open: bool = False
    """True if arguments that are not declared pass too. Policies never see those; approvers do."""
    resource_type: str = ""
    """Cedar type of the resource, such as `Charge`; empty means the system itself is the resource."""
    resource_id: str = ""
    """Template of its id over the arguments, such as `{charge}`."""
    dedupe: bool = True
    """False turns idempotency keys, attaching and replay off for this tool (`dedupe: off`)."""
    key_input: str = ""
    """The argument that serves as idempotency key when the header is absent."""
    send_key: str = ""
    """Request header in which the system takes the key we derive from the call id. Set: the tool is repeatable."""
    system_keeps_seconds: float = 0.0
    """How long the system remembers such a key; we never re-send after half of it."""
    keep_seconds: float = 24 * 3600.0
    """How long an ended call answers to its key."""
    window_seconds: float = 300.0
    """The same for a key derived from the request, when the agent gave none."""
    hold_wait_seconds: float = 25.0
    """How long a request waits for approvers before it is told `approval-pending`."""
    not_acted: frozenset[int] = frozenset({401, 429})
    """Statuses by which the system says that nothing happened; they release the pointers."""
    doubtful: frozenset[int] = frozenset()
    """Further statuses that do not prove what happened, beside 408, 502, 503, 504 and 520 to 524."""
    summary: Summary = ()
    """What a call would do, for people; empty: all of its arguments are listed instead."""
    previews: tuple[Preview, ...] = ()
    """What approvers are shown of the system while a call is held."""
    record: Recording | None = None
    """What is kept of its calls beyond digests, and what is masked in that and in notices; None: nothing."""

    @property
    def repeatable(self) -> bool:
        """The system dedupes by a key we send, so sending again after a loss is harmless."""
        return bool(self.send_key)

    @property
    def acts(self) -> bool:
        """True for anything but a read: such a call is claimed, deduplicated and never re-sent blindly."""
        return self.effect != "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system of record behind the gateway."""

    name: str
    origin: str
    """`https://api.stripe.com`: scheme, host and port if not the default. Never a path."""
    base_path: str = ""
    """Path put before every target, without a trailing slash; usually empty."""
    owner: str
    credential: Credential | None = None
    timeout_seconds: float = 30.0
    """Total time for one send, from connecting to the end of a buffered answer."""
    hosts: tuple[str, ...] = ()
    """Host names (lower case, no port) under which agents may also address this system directly."""
    drop_headers: frozenset[str] = frozenset()
    """Further request headers to drop as noise, lower case. A trailing `*` matches any ending."""
    rewrite_urls: bool = False
    """Also rewrite this system's own addresses inside JSON strings of its answers."""
    allow_addresses: tuple[str, ...] = ()
    """Networks (CIDR) allowed although link-local or cloud metadata."""
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    name: str
    owner: str
    teams: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """SHA-256 of each gateway key, hex."""
    questions: Quota | None = QUESTIONS
    """How many new questions it may put to people; None: any number."""
    storage: int | None = STORAGE
    """How many bytes of its requests and answers are kept at one time; None: any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A time during which somebody else decides in a person's place."""

    begin: int = 0
    """Milliseconds since the epoch; 0: it has begun."""
    until: int
    delegate: str

    def holds(self, now: int) -> bool:
        return self.begin <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    name: str
    email: str = ""
    away: Away | None = None
    roles: frozenset[str] = frozenset()
    """Of `approver`, `operator`, `auditor`."""
    slack: str = ""
    """The person's user id in Slack, `U...`."""
    oidc: str = ""  # subject at the identity provider; without one, a verified `email` tells who it is
    tokens: tuple[str, ...] = ()
    """SHA-256 of each token, hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a group hears of questions, and the secret with which its system signs decisions."""

    url: str
    secret: SecretReference
    callback_secret: SecretReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """A channel of a Slack workspace in which the group is asked, and may decide by buttons."""

    channel: str
    """Its id, `C...`."""
    workspace: str
    """The workspace's id, `T...`: presses from any other are refused."""
    token: SecretReference
    """The bot's, with the scope `chat:write`."""
    signing_secret: SecretReference
    """With which Slack signs presses of buttons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChannel:
    """People who are told by e-mail, and decide on the page."""

    people: tuple[str, ...]


Channel = Webhook | Slack | EmailChannel
"""One way in which a group hears of a question. Each has an adapter behind `ports.Notifier`."""
Way = Literal["page", "slack", "webhook", "token"]
"""Where a decision is made: the page, a button in Slack, a signed callback, or a person's token (API, command line)."""
WAYS: tuple[Way, ...] = ("page", "slack", "webhook", "token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When people of a group work."""

    timezone: str
    """IANA name, such as `Europe/Vienna`."""
    days: tuple[int, ...]
    """0 is Monday."""
    begin: int
    end: int
    """Minutes after midnight, local time; the end is later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """To whom a question goes if nobody of the group has decided by then."""

    after_seconds: float
    people: tuple[str, ...]
    """Everybody who hears of it and may decide from then on, the members of `groups` included."""
    groups: tuple[str, ...] = ()
    """Groups whose channels hear of it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Who may lift the forbids annotated `@approval("<name>")`."""

    name: str
    members: tuple[str, ...]
    quorum: int = 1
    channels: tuple[Channel, ...] = ()
    """Where the group hears of questions, in the order of `notify`."""
    decide_in: tuple[Way, ...] = WAYS
    """Decisions made in another way are refused."""
    remind_seconds: tuple[float, ...] = ()
    """After the question, each time nobody has decided yet."""
    escalations: tuple[Escalation, ...] = ()
    hours: Hours | None = None
    """Reminders and escalations count working time only; None: all time is."""
    batch: Quota | None = None
    """How many questions it hears of by themselves; the others come in a digest. None: all of them."""
    undo_seconds: float = 0.0
    """How long a yes can be taken back, and waits before it releases anything."""
    allow_owner: bool = False
    """The owner of the agent, and the user on whose behalf it acts, may decide too."""
    expire_seconds: float = 24 * 3600.0
    trusted: bool = False
    """One callback secret may assert more than one person's vote."""
    standing_seconds: float = 0.0
    """How long a standing grant by this group may last at most; 0: it gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Addresses as `host:port`, and the files of each listener's TLS certificate and key, if any."""

    agents: str = "127.0.0.1:8080"
    control: str = "127.0.0.1:8081"
    certificate: str = ""
    private_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """One valid configuration. `digest` names it; the text of every file it came from is covered by it."""

    systems: Mapping[str, System] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    listen: Listen = Listen()
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    digest: str = ""

    def tool(self, name: str) -> Tool | None:
        """The tool of that full name, if it still exists."""
        system = self.systems.get(name.partition(".")[0])
        return next((tool for tool in system.tools if tool.name == name), None) if system else None
