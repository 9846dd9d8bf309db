"""What has happened to a call. Past tense; written once, never changed; old ones must decode for ever.

Facts carry digests, never payload: the bytes of a request or an answer live beside them under their own key,
written by the same append. `at` is stamped by the journal with its own clock (milliseconds since the epoch), so
it is not part of what a writer encodes. Every duration is in milliseconds and counts from the fact's `at`.

Add a fact only with the feature that uses it, a field only with a default, and a line to tests/core/golden/.
"""

from typing import Literal

from gateway.core.call import Call
from gateway.core.value import keyword_value
from gateway.core.verdict import Requirement, Verdict


@keyword_value
class Admitted:
    """The call began to exist."""

    call: Call
    at: int = 0


@keyword_value
class Attached:
    """Another request turned out to be this call; its key now leads here."""

    key: str
    keep: int
    """Milliseconds that the key lasts after the call ended."""
    at: int = 0


@keyword_value
class Judged:
    """The policies of one generation answered."""

    verdict: Verdict
    generation: str
    """Digest of routes, schema and policies."""
    fingerprint: str
    """What was judged, recomputed from today's routes. Votes for another fingerprint are void."""
    lacking: tuple[int, ...] = ()
    """Of a hold: how many more people each of its requirements takes today, in their order."""
    weighed: int = 0
    """While a yes can be taken back: the time up to which yeses counted, as the process knew it, which may have been a
    moment before `at`. 0: all of them did."""
    at: int = 0


NoticeKind = Literal["approval.requested", "approval.reminded", "approval.escalated", "call.finished", "call.in_doubt"]


@keyword_value
class Notice:
    """A message that somebody has to get, and is retried until they did."""

    id: str
    """Unique, constant over retries: the `webhook-id`."""
    group: str
    channel: int
    """Index into the group's `notify`."""
    about: str = ""
    """The group whose question it is, if another group is told of it; empty: `group`."""
    kind: NoticeKind = "approval.requested"
    to: tuple[str, ...] = ()
    """People whom it is for beyond those who always read the channel."""


@keyword_value
class Rung:
    """One step of a group's ladder: what happens if nobody has decided by then."""

    group: str
    after: int
    """Milliseconds after the question."""
    kind: Literal["remind", "escalate"] = "escalate"
    to: tuple[str, ...] = ()
    """People who hear of it and, if they are approvers, may decide from then on."""
    groups: tuple[str, ...] = ()
    """Groups whose channels hear of it too."""


@keyword_value
class Asked:
    """The question is durable; the steward may now deliver its notices."""

    fingerprint: str
    requirements: tuple[Requirement, ...]
    notices: tuple[Notice, ...]
    expire: int
    """Milliseconds until nobody may approve any more. Only the first Asked of a call counts."""
    ladder: tuple[Rung, ...] = ()
    """What follows while nobody decides, in the order of time; fixed by the routes of this moment."""
    previews: tuple[str, ...] = ()
    """What is to be looked at for those who are asked, before they hear of it."""
    at: int = 0


@keyword_value
class Previewed:
    """The system was looked at for the approvers. What was seen is beside the facts."""

    name: str
    call: str
    """The read by which it was looked at; empty if there could be none."""
    digest: str
    """Of all that is shown, salted."""
    bound: str
    """Of what must be the same at the release, salted, also if nothing was seen; empty if nothing must."""
    failed: str
    """Why nothing was seen, or empty."""
    fingerprint: str
    """Of the call for which it was looked at."""
    again: bool = False
    """Before the release, to see whether what was shown is still so."""
    changed: tuple[str, ...] = ()
    """Bound fields that are no longer as they were shown: votes for what was shown are void."""
    notices: tuple[Notice, ...] = ()
    """To those who decided, that it could not be looked at again."""
    at: int = 0


@keyword_value
class Reminded:
    """A rung of the ladder: the group was reminded."""

    group: str
    notices: tuple[Notice, ...]
    at: int = 0


@keyword_value
class Escalated:
    """A rung of the ladder: these people hear of the question and may decide it from now on, beside the group."""

    group: str
    to: tuple[str, ...]
    notices: tuple[Notice, ...]
    at: int = 0


@keyword_value
class Notified:
    """A notice was accepted, given up or will be tried again."""

    notice: str
    attempt: int
    status: int
    """What the receiver answered; 0 if nothing did."""
    done: bool
    error: str = ""
    receipt: str = ""
    """How the receiver calls what it accepted, such as a chat message's id: needed to change it later."""
    digest: str = ""
    """Id of the digest that it was told in; empty: it had a message of its own."""
    last: bool = False
    """Not done, and not tried again."""
    at: int = 0


@keyword_value
class Approved:
    """A person said yes, to exactly this fingerprint and these requirements."""

    by: str
    group: str
    fingerprint: str
    requirements: tuple[Requirement, ...]
    via: str
    """How the vote was authenticated: `asserted by webhook of finance`, `token`."""
    message: str = ""
    """The `webhook-id` of the callback, so that a repeat changes nothing."""
    reason: str = ""
    on_behalf: str = ""
    """The absent person whose delegate `by` is; empty if `by` decided in their own right."""
    undo: int = 0
    """Milliseconds during which it can be taken back, and nothing is released."""
    at: int = 0


@keyword_value
class Retracted:
    """A person took back a yes that had not been used yet."""

    by: str
    group: str
    via: str
    message: str = ""
    at: int = 0


@keyword_value
class Edited:
    """A person changed arguments. The request beside the facts is the new one; votes for the old one are void."""

    by: str
    group: str
    before: str
    """Fingerprint of what was asked about."""
    fingerprint: str
    """Of what would be sent now."""
    changed: tuple[str, ...]
    """Names of the arguments that differ; their values are beside, in the two requests."""
    via: str
    message: str = ""
    reason: str = ""
    on_behalf: str = ""
    resource: str = ""
    """What the call is about now; empty: what it was about before."""
    at: int = 0


@keyword_value
class Rejected:
    """A person said no. Final."""

    by: str
    group: str
    fingerprint: str
    via: str
    message: str = ""
    reason: str = ""
    on_behalf: str = ""
    at: int = 0


@keyword_value
class Cancelled:
    """Somebody who answers for the agent or the system ended it before it was sent. Final."""

    by: str
    via: str
    reason: str = ""
    at: int = 0


@keyword_value
class Expired:
    """Nobody decided in time. Final."""

    at: int = 0


@keyword_value
class Withdrawn:
    """The agent took its question back. Final."""

    at: int = 0


@keyword_value
class Claimed:
    """One drive may send, once. Written, together with today's allow, before the first byte leaves."""

    token: str
    """The drive that wrote it; nobody else may send under it."""
    fingerprint: str
    """What it sends. A re-send must have the same: never under another credential or upstream."""
    lease: int
    """Milliseconds. Outlives the system's total timeout."""
    worker: str = ""
    """The process that sends, so that others can look whether it is still at work."""
    at: int = 0


@keyword_value
class Unsent:
    """Provably not one byte of the request reached the system."""

    token: str
    error: str
    at: int = 0


@keyword_value
class Lost:
    """Sent, or perhaps sent, and nobody knows with what result."""

    token: str
    error: str
    status: int = 0
    """A status that came from between us and the system, or that a re-send got; it proves nothing."""
    at: int = 0


@keyword_value
class Answered:
    """The system answered. Of a body that is streamed past, `Ended` tells the rest."""

    token: str
    """The claim's token; empty for a read, which needs no claim."""
    status: int
    length: int = -1
    """Bytes of the body; -1: it streams."""
    sha256: str = ""
    """Of the call's salt and the body; older versions left the salt out."""
    kept: bool = False
    """The answer's bytes are beside this fact, for replays."""
    withheld: bool = False
    """The injected credential appeared in the answer; the agent must never get it."""
    at: int = 0


@keyword_value
class Ended:
    """A streamed body is over."""

    length: int
    sha256: str
    whole: bool
    at: int = 0


@keyword_value
class Abandoned:
    """The requester went away before it had the answer."""

    at: int = 0


@keyword_value
class Delivered:
    """The outcome was handed to a requester that was still there."""

    polled: bool = False
    """To one that only asked how the call stands: it may still repeat its request to get the answer itself."""
    at: int = 0


@keyword_value
class Resolved:
    """An operator found out what became of a call in doubt. Never re-sends anything."""

    by: str
    acted: bool
    status: int = 0
    """Of the answer that the operator supplied, if any."""
    note: str = ""
    at: int = 0


@keyword_value
class Reported:
    """What became of the call is put to those who were asked about it."""

    kind: NoticeKind
    notices: tuple[Notice, ...]
    at: int = 0


@keyword_value
class Recorded:
    """A copy of what was asked or answered is kept for the record, as the tool's `record:` says."""

    part: Literal["input", "edited", "output"]
    """`edited`: the arguments after a person changed some."""
    how: Literal["redacted", "full", "digest"]
    """`digest`: there is no copy, though one was asked for."""
    digest: str = ""
    """Of the copy, salted: the salt is destroyed with it."""
    size: int = 0
    """Bytes of the copy."""
    keep: int = 0
    """Milliseconds until it is destroyed."""
    masked: tuple[str, ...] = ()
    """Paths whose values were replaced before anything was written."""
    why: str = ""
    """Why there is no copy."""
    at: int = 0


@keyword_value
class Viewed:
    """A person was shown what the call would do: its arguments were decrypted for them."""

    by: str
    via: str
    """How they were known: `token`, `on the page`."""
    fingerprint: str
    """Of what they saw."""
    at: int = 0


Fact = (
    Admitted | Attached | Judged | Asked | Previewed | Reminded | Escalated | Notified | Approved | Retracted | Edited
    | Rejected | Expired | Withdrawn | Cancelled | Claimed | Unsent | Lost | Answered | Ended | Abandoned | Delivered
    | Resolved | Reported | Recorded | Viewed
)  # fmt: skip
