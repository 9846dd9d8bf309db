"""The shape of routes.yaml: one strict pydantic model per mapping, every field with its own check.

Models say what one mapping may contain, read by itself; what must agree between mappings is checked where these
become core values (parties.py, systems.py, tools.py). `later` names fields that a later version performs: they are
refused with that sentence, never accepted silently. `expected` says what to write instead of something else. Every
field has a row in docs/routes.md; a test holds this.
"""

from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from gateway.config import addresses, calendar, header_names, templates
from gateway.config.field_types import (
    Address,
    Digest,
    Duration,
    Email,
    EnvironmentName,
    Host,
    Longest,
    MaskPath,
    Names,
    PerTime,
    Prefix,
    Recipients,
    ResolvedText,
    Role,
    Size,
    SlackChannel,
    SlackUser,
    SlackWorkspace,
    Statuses,
    Summary,
    Switch,
    Text,
    UpstreamAddress,
    UserName,
    Version,
    Wait,
    WebhookAddress,
    unique,
)
from gateway.core.quota import STORAGE
from gateway.core.recording import KEEP_SECONDS
from gateway.core.routes import SecretReference, Way

Item = TypeVar("Item")
Several = Annotated[list[Item], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]
"""A list, or its only entry by itself."""


class Strict(BaseModel):
    """One mapping of routes.yaml."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )
    later: ClassVar[frozenset[str]] = frozenset()
    expected: ClassVar[str] = "a mapping of fields"

    @classmethod
    def fields_by_name(cls) -> dict[str, FieldInfo]:
        """As the file calls them; `from` is no name in Python."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


class HashModel(Strict):
    """A gateway key or a person's token, of which only the digest is kept."""

    expected: ClassVar[str] = "a mapping such as {sha256: ...}; `gateway key new` prints one"
    sha256: Digest


class SecretModel(Strict):
    """Where a secret is kept."""

    expected: ClassVar[str] = "{env: NAME} or {file: path}; a secret itself is never written here"
    env: EnvironmentName | None = None
    file: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("must be {env: NAME} or {file: path}, one of the two")
        return self

    def reference(self) -> SecretReference:
        return SecretReference("env", self.env) if self.env else SecretReference("file", self.file or "")


class AwayModel(Strict):
    expected: ClassVar[str] = "a mapping such as {until: 2026-12-01, delegate: finance-lead}"
    begin: calendar.Moment | None = Field(None, alias="from")
    until: calendar.Moment
    delegate: Text


class PersonModel(Strict):
    expected: ClassVar[str] = "a mapping such as {email: name@example.com, roles: [approver]}"
    later: ClassVar[frozenset[str]] = frozenset({"limit", "phone"})
    email: Email = ""
    oidc: str = ""
    roles: Annotated[list[Role], AfterValidator(unique)] = []
    slack: SlackUser = ""
    tokens: list[HashModel] = []
    away: AwayModel | None = None


class AgentModel(Strict):
    expected: ClassVar[str] = "a mapping such as {owner: support-lead, keys: [{sha256: ...}]}"
    later: ClassVar[frozenset[str]] = frozenset({"budget", "limits", "rate", "users", "jwt", "spiffe", "mtls"})
    owner: Text
    teams: Names = []
    keys: list[HashModel] = []
    questions: PerTime = (100, 3600.0)
    storage: Size = STORAGE


class SlackModel(Strict):
    expected: ClassVar[str] = "a mapping such as {channel: C024BE91L, workspace: T024BE7LD, token: {env: NAME}, ...}"
    channel: SlackChannel
    workspace: SlackWorkspace
    token: SecretModel
    signing_secret: SecretModel


class NotifyModel(Strict):
    """One way in which a group hears of questions."""

    expected: ClassVar[str] = "a mapping such as {webhook: https://..., secret: {env: NAME}}"
    later: ClassVar[frozenset[str]] = frozenset({"teams", "page", "pagerduty"})
    webhook: WebhookAddress | None = None
    secret: SecretModel | None = None
    callback_secret: SecretModel | None = None
    slack: SlackModel | None = None
    email: Recipients | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len({"webhook", "slack", "email"} & self.model_fields_set) != 1:
            raise ValueError("must be exactly one of webhook, slack and email")
        if self.webhook is not None and self.secret is None:
            raise ValueError("needs `secret`, which signs what is sent to the webhook")
        if self.webhook is None and (self.secret or self.callback_secret):
            raise ValueError("must not have `secret` or `callback_secret`: those are of a webhook")
        return self


class EscalationModel(Strict):
    expected: ClassVar[str] = "a mapping such as {after: 1h, to: [cfo]}"
    after: Duration
    to: Annotated[list[Text], Field(min_length=1), AfterValidator(unique)]


class HoursModel(Strict):
    expected: ClassVar[str] = 'a mapping such as {tz: Europe/Vienna, days: [mon-fri], from: "9:00", to: "17:00"}'
    tz: calendar.TimeZone
    days: calendar.Days
    begin: calendar.TimeOfDay = Field(alias="from")
    end: calendar.TimeOfDay = Field(alias="to")

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.begin >= self.end:
            raise ValueError("must have `from` before `to`; a shift over midnight is not supported")
        return self


class StandingModel(Strict):
    expected: ClassVar[str] = "a mapping such as {longest: 8h}"
    longest: Longest


class GroupModel(Strict):
    expected: ClassVar[str] = "a mapping such as {members: [finance-lead], notify: [...]}"
    members: Annotated[list[Text], Field(min_length=1), AfterValidator(unique)]
    quorum: Annotated[int, Field(ge=1)] = 1
    notify: list[NotifyModel] = []
    decide_in: Annotated[list[Way], Field(min_length=1), AfterValidator(unique)] | None = None
    remind: Several[Duration] = []
    escalate: Several[EscalationModel] = []
    hours: HoursModel | None = None
    batch: PerTime = None
    undo: Wait = 0.0
    allow_owner: bool = False
    expire: Duration = 24 * 3600.0
    trusted: bool = False
    standing: StandingModel | None = None


class BasicModel(Strict):
    expected: ClassVar[str] = "a mapping such as {username: bot, password: {env: NAME}}"
    username: UserName
    password: SecretModel


class HeaderModel(Strict):
    expected: ClassVar[str] = "a mapping such as {name: X-Token, value: {env: NAME}}"
    name: Annotated[str, AfterValidator(header_names.carrying_secret)]
    value: SecretModel
    prefix: Prefix = ""


class QueryModel(Strict):
    expected: ClassVar[str] = "a mapping such as {name: key, value: {env: NAME}}"
    name: Text
    value: SecretModel


class CredentialModel(Strict):
    expected: ClassVar[str] = "a mapping such as {bearer: {env: NAME}}; a secret itself is never written here"
    later: ClassVar[frozenset[str]] = frozenset({"oauth", "oauth2", "aws", "mtls", "hmac", "exec"})
    bearer: SecretModel | None = None
    basic: BasicModel | None = None
    header: HeaderModel | None = None
    query: QueryModel | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("must be exactly one of bearer, basic, header and query")
        return self


class SystemModel(Strict):
    expected: ClassVar[str] = "a mapping such as {upstream: https://..., owner: finance-lead, tools: {...}}"
    later: ClassVar[frozenset[str]] = frozenset(
        {"mcp", "unlisted", "budget", "limits", "rate", "summary", "preview", "record", "tls", "retry"}
    )
    upstream: UpstreamAddress
    owner: Text
    credential: CredentialModel | None = None
    timeout: Duration = 30.0
    hosts: Annotated[list[Host], AfterValidator(unique)] = []
    drop_headers: list[Annotated[str, AfterValidator(header_names.dropped)]] = []
    rewrite_urls: bool = False
    allow_addresses: list[Annotated[str, AfterValidator(addresses.network)]] = []
    tools: dict[str, Any] = {}
    """Each is validated by itself as a ToolModel, so that one mistake does not hide another."""


class IdempotencyModel(Strict):
    expected: ClassVar[str] = "a mapping such as {send: Idempotency-Key, keeps: 24h}"
    send: Annotated[str, AfterValidator(header_names.carrying_key)] = ""
    keeps: Duration | None = None
    key: Text | None = None
    keep: Duration = 24 * 3600.0
    window: Duration = 300.0


class HoldModel(Strict):
    expected: ClassVar[str] = "a mapping such as {wait: 25s}"
    later: ClassVar[frozenset[str]] = frozenset({"batch", "decide_in", "remind", "undo"})
    wait: Wait = 25.0


class RecordModel(Strict):
    expected: ClassVar[str] = "a mapping such as {input: redacted, output: digest, mask: [card.number], keep: 400d}"
    input: Literal["digest", "redacted", "full"] = "digest"
    output: Literal["digest", "redacted", "full"] = "digest"
    mask: Annotated[list[MaskPath], AfterValidator(unique)] = []
    keep: Duration = KEEP_SECONDS


class ToolModel(Strict):
    expected: ClassVar[str] = 'a mapping such as {request: "GET /v1/charges/{charge}", effect: read}'
    later: ClassVar[frozenset[str]] = frozenset({"unlisted", "budget", "limits", "rate", "undo", "compensate", "mcp"})
    request: Annotated[templates.RequestLine, BeforeValidator(templates.request_line)]
    effect: Literal["read", "write", "destructive"]
    body: Literal["json", "form", "none", "opaque"] | None = None
    input: dict[str, Any] = {}
    """JSON Schema properties with our own words; checked by inputs.py."""
    headers: dict[str, Any] = {}
    """The same, by header name."""
    open: bool = False
    safe: bool = False
    resource: Text | None = None
    idempotency: IdempotencyModel = IdempotencyModel()
    dedupe: Switch = True
    hold: HoldModel = HoldModel()
    summary: Summary | None = None
    record: RecordModel | None = None
    preview: dict[str, Any] = {}
    """Each is validated by itself as a PreviewModel."""
    not_acted: Statuses = [401, 429]
    doubtful: Statuses = []


class TlsModel(Strict):
    expected: ClassVar[str] = "a mapping such as {cert: tls.crt, key: tls.key}"
    cert: ResolvedText
    key: ResolvedText


class ListenModel(Strict):
    expected: ClassVar[str] = "a mapping such as {agents: 127.0.0.1:8080, control: 127.0.0.1:8081}"
    agents: Address = "127.0.0.1:8080"
    control: Address = "127.0.0.1:8081"
    tls: TlsModel | None = None


class FileModel(Strict):
    """One file. What is inside a section is validated by itself."""

    expected: ClassVar[str] = "a mapping that begins with `version: 1`"
    later: ClassVar[frozenset[str]] = frozenset({"budgets", "limits", "users", "retention", "identity"})
    version: Version
    people: dict[str, Any] = {}
    approvals: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    systems: dict[str, Any] = {}
    listen: Any = {}
    ledger: Any = {}
