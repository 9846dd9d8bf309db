"""What the engine needs from the world: Protocols that state obligations, not just signatures.

Each contract is tested in tests/contracts/ against every adapter. An exception here is a statement about the
world: read what it proves before catching it.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from gateway.core.admit import Admission, Edit
from gateway.core.call import Call, Request
from gateway.core.facts import Fact
from gateway.core.messages import Message
from gateway.core.pointers import Upkeep
from gateway.core.previews import Preview
from gateway.core.routes import Channel, Routes, System, Tool
from gateway.core.value import keyword_value, positional_value
from gateway.core.verdict import Question, Requirement, Verdict
from gateway.grant_ports import Granting

BEAT_MS = 3_000
"""A process that says nothing for this long is taken for dead."""

# --- The journal ------------------------------------------------------------------------------------------------


class Conflict(Exception):
    """Somebody else wrote to this call first. Nothing was written. Read it again."""


class Taken(Exception):
    """One of the pointers leads elsewhere. Nothing was written. Attach to one of `calls`."""

    def __init__(self, calls: tuple[str, ...], kind: str) -> None:
        super().__init__(*calls)
        self.calls = calls
        """One; of `executing`, all that are not `beside`."""
        self.kind = kind
        """`key` or `open`; or `executing`: calls for the same intent were sent, and are not among `beside`."""


class Suspended(Exception):
    """The agent is suspended, so no claim and no disclosure. Nothing was written."""


class Revoked(Exception):
    """A standing grant that the verdict relies on was revoked or is over. Nothing was written."""


class NoRoom(Exception):
    """The agent has as much of something as it may have. Nothing was written."""

    def __init__(self, milliseconds: int) -> None:
        super().__init__(milliseconds)
        self.milliseconds = milliseconds
        """Until there is more room; 0 if nothing says when."""


class TooManyQuestions(NoRoom):
    """People were asked about as many of its calls as they may be."""


class TooMuchStored(NoRoom):
    """As many of its bytes are kept as may be."""


class JournalUnavailable(Exception):
    """The journal did not confirm. The append may or may not have been written; the same token may be retried."""


class CallVanished(JournalUnavailable):
    """The journal answers, but has no fact of a call that was durable."""


class TooFewReplicas(JournalUnavailable):
    """The append is durable here, but too few replicas have it, so an unrepeatable effect must not follow."""


@keyword_value
class Append:
    """Facts for one call, all or nothing."""

    call: str
    agent: str
    expected: int
    """How many facts the writer has read. Anything else in the journal is a `Conflict`."""
    token: str
    """Unique per append. Repeating an append with its token answers as the first time did."""
    facts: tuple[Fact, ...]
    upkeep: Upkeep
    """What pointers, due time and lifetimes must be once these facts are written."""
    guarded: bool = False
    """True if the facts let something happen (a claim, a disclosure): refused while the agent is suspended."""
    replicated: bool = False
    """True if a failover must not forget it (the claim of a tool that is not repeatable)."""
    payload: Mapping[str, bytes] | None = None
    """Bytes to keep beside the facts, by field: `request`, `salt`, `answer`, `preview`. Empty: to keep no longer."""
    beside: tuple[str, ...] = ()
    """Calls for the same intent that are no obstacle: whoever has them in hand was seen at work."""
    notices: tuple[tuple[str, int | None], ...] = ()
    """Outbox entries: notice id and milliseconds from now until it is (next) due; None removes it."""


@positional_value
class Appended:
    at: int
    """The journal's time, milliseconds since the epoch; all facts of the append carry it."""
    entry: str
    """Where the facts stand in the ledger of the partition."""


class Journal(Protocol):
    """The durable list of facts of each call, and the order of all of them."""

    @property
    def loss(self) -> str:
        """Why appends are stopped until a person acknowledges that records are missing; empty otherwise."""
        ...

    async def append(self, append: Append) -> Appended:
        """Compare-and-swap on the number of facts. When it returns, the facts are durable.

        Raises Conflict, Taken, Suspended, Revoked, NoRoom (nothing written), or JournalUnavailable (unknown).
        """
        ...

    async def facts(self, call: str) -> list[Fact]:
        """All facts, oldest first, each with its `at`; empty if there is no such call."""
        ...

    async def length(self, call: str) -> int:
        """How many facts the call has: cheap, for whoever waits for a change."""
        ...

    async def payload(self, call: str) -> Mapping[str, bytes]:
        """What is kept beside the facts and can be read; `core.payload.UNREADABLE` says why the rest cannot."""
        ...

    async def touch(self, call: str, agent: str, pointer: str, milliseconds: int) -> None:
        """Let the key pointer of an ended call last that long from now. Losing this is harmless."""
        ...

    def leave(self, call: str, match: str) -> None:
        """No request for the same intent need meet this call any more. Returns at once; losing this is harmless."""
        ...

    async def met(self, call: str, match: str) -> bool:
        """Whether a request for the same intent meets this call still."""
        ...

    async def beat(self, worker: str) -> None:
        """Say that this process is at work. Holds for BEAT_MS."""
        ...

    async def last_beat(self, worker: str) -> int:
        """The journal's time of that process's last beat, or 0 if it was longer ago than BEAT_MS."""
        ...

    def now(self) -> int:
        """The journal's clock, milliseconds, estimated without a round trip. Never goes backwards."""
        ...


class Timers(Protocol):
    """What is due, for the steward."""

    async def due(self, limit: int) -> list[str]:
        """Calls whose due time has come, at most `limit`, oldest first."""
        ...

    async def rearm(self, call: str, milliseconds: int) -> None:
        """Look at this due call again that much later. A time that has not come stays: somebody set it meanwhile."""
        ...

    async def forget(self, call: str) -> None:
        """The call needs nothing more."""
        ...

    async def outbox(self, limit: int) -> list[tuple[str, str]]:
        """Notices that are due, as (call, notice id)."""
        ...

    async def postpone(self, call: str, notice: str, milliseconds: int) -> None:
        """Look at this notice again that much later, if it still waits."""
        ...

    async def discard(self, call: str, notice: str) -> None:
        """Nobody needs to hear of this any more."""
        ...


# --- The policies -----------------------------------------------------------------------------------------------


class Policies(Protocol):
    """One immutable set of policies with its schema."""

    def judge(self, question: Question, met: frozenset[Requirement]) -> Verdict:
        """Design section 6. Total: any error whatever is a deny with code `policy-error`. Never blocks.

        `met` are the requirements that recorded votes satisfy; approvals lift exactly those forbids.
        """
        ...


class Generation(Protocol):
    """One loaded set of routes, schema and policies. A drive uses one from beginning to end."""

    @property
    def digest(self) -> str: ...
    @property
    def routes(self) -> Routes: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def granting(self) -> Granting: ...

    def preview(self, held: Admission, preview: Preview, *, call_id: str, salt: bytes) -> Admission:
        """A new call that looks at what `held` is about, for its agent and run. Raises Inadmissible."""
        ...

    def readmit(self, call: Call, payload: Mapping[str, bytes]) -> Admission:
        """`call` as it would be admitted today, from the bytes kept beside its facts. Raises Inadmissible."""
        ...

    def edit(self, before: Admission, payload: Mapping[str, bytes], changes: Mapping[str, object]) -> Edit:
        """The same call with other arguments. Raises CannotEdit."""
        ...


# --- The systems of record --------------------------------------------------------------------------------------


class NeverSent(Exception):
    """Provably not one byte of the request reached the system: DNS, refused, TLS failure, pool timeout."""


class SendLost(Exception):
    """Anything else that went wrong. When unsure, this."""


class CredentialEchoed(Exception):
    """The injected credential appeared in the answer. What the system did, it did; the answer is withheld."""


class BodyBroken(Exception):
    """The status line came, but the body ended early, stalled or lied about its length."""


class SecretMissing(NeverSent):
    """The system's credential is not where routes.yaml says. Nothing was sent."""


class Reply(Protocol):
    """A status line that came, and a body that is still coming. Must be closed, whatever happens."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """As received, lower-case names, in order, repeated ones kept."""

    async def read(self, limit: int) -> bytes | None:
        """The whole body if it has at most `limit` bytes and ends in time; None if it is longer (use chunks).

        Raises BodyBroken or CredentialEchoed. After None, `chunks` yields everything, the bytes read included.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises BodyBroken or CredentialEchoed, the latter before the secret passes."""
        ...

    async def close(self) -> None: ...


class Upstream(Protocol):
    """Sends one request, once. Never retries, redirects, decompresses or adds a cookie."""

    async def send(self, system: System, tool: Tool, request: Request, extra: tuple[tuple[str, str], ...]) -> Reply:
        """Send exactly `request` with `extra` headers (Via, traceparent, the derived key) and the credential.

        The credential is read now, at send time. Raises NeverSent or SendLost.
        """
        ...


# --- The people who are asked -----------------------------------------------------------------------------------


@keyword_value
class Delivery:
    """What came of one attempt to tell one channel something."""

    status: int
    """What the receiver answered; 0 if nothing did."""
    done: bool
    """The receiver has it."""
    error: str
    """Why it is not done, in a sentence without an address or a secret; empty if it is."""
    retry_after: float | None = None
    """Seconds that the receiver asked us to wait."""
    receipt: str = ""
    """How the receiver calls what it accepted, if that is needed to change it later."""
    gone: bool = False
    """The receiver wants no more notices, so trying again is pointless and somebody must hear of it."""
    digest: str = ""
    """Id of the digest in which it was told; empty: it had a message of its own."""


class Notifier(Protocol):
    """Tells people something through one channel, once. Never retries: the outbox does."""

    async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
        """One attempt. `now`: milliseconds since the epoch. A message may come twice, with the same id.

        Never raises for anything that a receiver, a network or a missing secret does: that is a Delivery.
        """
        ...
