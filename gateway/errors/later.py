"""Calls that are not over, cannot be made now, or were sent: what to do next differs, so read the sentences."""

from collections.abc import Sequence
from typing import Self

from gateway.errors.base import NOTHING_DONE, NotYet, Performed, Unavailable, listed


class ApprovalPending(NotYet):
    slug, title = "approval-pending", "The call waits for approval"

    def __init__(self, call: str, groups: Sequence[str], expires_at: str, *, retry_seconds: int = 30) -> None:
        """`expires_at`: RFC 3339. `retry_seconds`: what Retry-After says; people answer in minutes."""
        super().__init__(
            f"This call needs approval by {listed(groups)} and has been put to them; nothing has been executed. Do not "
            f"change the request: repeat exactly this request, or GET /calls/{call}, after {retry_seconds} seconds. "
            f"It expires at {expires_at}.",
            call=call,
            headers={"retry-after": str(retry_seconds), "location": f"/calls/{call}"},
            members={"approvals": list(groups), "expires_at": expires_at},
        )


class CallInProgress(NotYet):
    slug, title, at_once = "call-in-progress", "The call is being executed", True

    def __init__(self, call: str, *, retry_seconds: int = 5) -> None:
        super().__init__(
            f"An earlier request for this call is still being executed; this one was not sent a second time. Do not "
            f"change the request: repeat exactly this request, or GET /calls/{call}, after {retry_seconds} seconds to "
            "get its answer.",
            call=call,
            headers={"retry-after": str(retry_seconds), "location": f"/calls/{call}"},
        )


class TooMany(Unavailable):
    slug, status, title = "too-many", 429, "Too many requests"

    def __init__(self, what: str, *, retry_seconds: int, setting: str = "") -> None:
        raised = f" The limit is {setting}." if setting else ""
        super().__init__(
            f"Too many {what}.{raised} {NOTHING_DONE} Wait {retry_seconds} seconds, then repeat the same request.",
            headers={"retry-after": str(retry_seconds)},
        )


class TooManyQuestions(Unavailable):
    slug, status, title, at_once = "too-many-questions", 429, "Too many calls that need approval", False

    def __init__(self, agent: str, most: int, within: str, *, retry_seconds: int) -> None:
        """`within`: `1 h`."""
        super().__init__(
            f"This call needs the approval of people, and {agent} has already had them asked about {most} calls within "
            f"{within}, which is as many as routes.yaml lets it (`questions`). {NOTHING_DONE} Nobody was asked about "
            f"this call. Wait {retry_seconds} seconds, then repeat exactly this request; or go on with what needs no "
            "approval. Requests for calls that wait already are not counted again.",
            headers={"retry-after": str(retry_seconds)},
        )


class TooMuchStored(Unavailable):
    slug, status, title, at_once = "too-much-stored", 429, "Too much is kept for this agent", False

    def __init__(self, agent: str, most: int, *, retry_seconds: int) -> None:
        """`most`: bytes."""
        super().__init__(
            f"The gateway keeps requests until they are decided and answers for whoever asks again. With this request "
            f"that would be more than the {most // 1024} KiB that routes.yaml lets it keep for {agent} (`storage`). "
            f"{NOTHING_DONE} Send a smaller request, or withdraw calls that wait for approval and that you no longer "
            f"need (DELETE /calls/<id>), then repeat it; otherwise wait {retry_seconds} seconds. Requests of less than "
            "4 KiB are not counted.",
            headers={"retry-after": str(retry_seconds)},
        )


class UpstreamUnreachable(Unavailable):
    slug, status, title = "upstream-unreachable", 502, "The system cannot be reached"

    def __init__(self, system: str, *, call: str | None = None) -> None:
        super().__init__(
            f"The gateway could not connect to {system}, so the request was provably never sent. {NOTHING_DONE} "
            "Repeating the same request later is safe.",
            call=call,
        )


class ReadFailed(Unavailable):
    slug, status, title = "read-failed", 502, "The system did not answer"

    def __init__(self, system: str, *, call: str | None = None) -> None:
        super().__init__(
            f"{system} was asked but gave no complete answer. A read changes nothing, so repeating the same request is "
            "safe.",
            call=call,
        )


class FoundNotDone(Unavailable):
    slug, status, title, at_once = "found-not-done", 502, "The call was found not to have acted", False

    def __init__(self, call: str) -> None:
        super().__init__(
            f"An operator found out that call {call} was never performed by the system. {NOTHING_DONE} If you still "
            "mean it, send the request again.",
            call=call,
        )


class JournalUnavailable(Unavailable):
    slug, title = "journal-unavailable", "The gateway cannot record calls"

    def __init__(self, *, call: str | None = None, lost: bool = False, retry_seconds: int = 5) -> None:
        """`lost`: records are missing, and a person has to say that this is known before anything goes on."""
        why = "cannot write its journal, and does nothing that it cannot record"
        then = f"Repeat exactly this request after {retry_seconds} seconds: it will not be executed twice"
        if lost:
            why = (
                "has found that records are missing from its journal, and does nothing until an operator has "
                "acknowledged that loss"
            )
            then = "Tell the person you work for; then repeat exactly this request"
        super().__init__(
            f"The gateway {why}. {NOTHING_DONE} {then}.", call=call, headers={"retry-after": str(retry_seconds)}
        )


class PoliciesUnavailable(Unavailable):
    slug, title = "policies-unavailable", "The gateway cannot evaluate policies"

    def __init__(self, *, call: str | None = None, retry_seconds: int = 30) -> None:
        super().__init__(
            f"The gateway has no usable policies, and denies what it cannot judge. {NOTHING_DONE} Its operator has to "
            f"mend them; repeat the same request after {retry_seconds} seconds.",
            call=call,
            headers={"retry-after": str(retry_seconds)},
        )


class AnswerNotKept(Performed):
    slug, status, title = "answer-not-kept", 410, "The answer was not kept"

    def __init__(self, call: str, *, upstream_status: int = 0, sha256: str = "", length: int = -1) -> None:
        """What the journal still knows of the answer; nothing if the record itself is past its time.

        `length` in bytes, -1 if it was never whole.
        """
        status = f" with status {upstream_status}" if upstream_status else ""
        answered = {"status": upstream_status, "sha256": sha256, "length": length}
        super().__init__(
            f"This call was already executed and answered{status}, but that answer's body was not kept. It was not "
            "executed again. Read the system's state with a read tool instead of repeating it.",
            call=call,
            members={"answered": answered} if upstream_status else {},
        )


class CredentialEchoed(Performed):
    slug, title = "credential-echoed", "The answer was withheld"

    def __init__(self, system: str, *, call: str | None = None) -> None:
        super().__init__(
            f"The call was executed, but the answer of {system} contained the gateway's own credential and was "
            "withheld. Do not repeat the call; tell the person you work for, and read the result with another tool.",
            call=call,
        )


class OutcomeUnknown(Performed):
    slug, title = "outcome-unknown", "Nobody knows yet whether the call acted"

    def __init__(self, call: str, system: str) -> None:
        super().__init__(
            f"The request was sent to {system}, but no trustworthy answer came back: it may or may not have been "
            "executed. The gateway will not send it again. Do not send it in another form: check the state of "
            f"{system} with a read tool, or wait until an operator has settled call {call}.",
            call=call,
            headers={"location": f"/calls/{call}"},
        )

    @classmethod
    def unrecorded(cls, call: str) -> Self:
        """The system answered, but the answer could not be made durable, so it may not be given to anybody yet."""
        error = cls(call, "the system")
        error.detail = (
            "The request was sent and answered, but the gateway cannot record the answer at the moment, so it must "
            f"not show it. It will not be sent again. Repeat exactly this request, or GET /calls/{call}, after a "
            "minute to get the answer; do not send it in another form."
        )
        error.args = (error.detail,)
        return error
