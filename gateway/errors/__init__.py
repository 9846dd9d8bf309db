"""Everything the gateway itself answers to an agent instead of the system's own answer.

    GatewayError
    ├── RequestRefused            nothing was done; another request may be right
    │   ├── AmbiguousRequest      400  framing, path, query, JSON or form could be read in two ways
    │   ├── MethodNotAllowed      405
    │   ├── TooSlow               408  the body did not arrive in time
    │   ├── TooLarge              413  names the setting
    │   ├── UnsupportedEncoding   415  a compressed request body
    │   ├── UnsupportedMediaType  415  the body is not of the kind that the tool takes
    │   ├── Misdirected           421  a host of a known system that is not in its `hosts:`
    │   ├── InvalidArguments      422  with a list: where, what was expected
    │   ├── IdempotencyKeyReused  422
    │   ├── UnknownCall           404
    │   ├── NotHeld               409  there is nothing to withdraw
    │   └── RequesterGone         499  nobody will read it
    ├── AccessDenied              nothing was done; the same request will be denied again
    │   ├── GatewayCredential     401
    │   ├── AgentSuspended        403
    │   ├── UnknownTool           403
    │   ├── PolicyDenied          403
    │   ├── ApprovalRejected      403
    │   ├── ApprovalExpired       403
    │   ├── CallCancelled         403
    │   └── CallWithdrawn         403
    ├── NotYet                    ask again with exactly the same request
    │   ├── ApprovalPending       409
    │   └── CallInProgress        409
    ├── Unavailable               nothing was done; the same request may work later
    │   ├── TooMany               429
    │   ├── TooManyQuestions      429  the agent had people asked about as many calls as it may
    │   ├── TooMuchStored         429  as many bytes are kept for the agent as it may have kept
    │   ├── UpstreamUnreachable   502
    │   ├── ReadFailed            502
    │   ├── FoundNotDone          502
    │   ├── JournalUnavailable    503
    │   └── PoliciesUnavailable   503
    └── Performed                 the system was, or may have been, asked
        ├── AnswerNotKept         410
        ├── CredentialEchoed      502
        └── OutcomeUnknown        502

A detail is read by a language model and by the person behind it: what happened, whether anything was done, what to
do next. It must never contain a credential, an engine's error text, or an argument's value at length.
`gateway.wire.problem` is the only renderer; docs/errors.md lists every slug, and a test keeps that list complete.
"""

from gateway.errors.base import (
    AccessDenied,
    GatewayError,
    NotYet,
    Performed,
    RequestRefused,
    Unavailable,
)
from gateway.errors.denied import (
    AgentSuspended,
    ApprovalExpired,
    ApprovalRejected,
    CallCancelled,
    CallWithdrawn,
    GatewayCredential,
    PolicyDenied,
    UnknownTool,
)
from gateway.errors.later import (
    AnswerNotKept,
    ApprovalPending,
    CallInProgress,
    CredentialEchoed,
    FoundNotDone,
    JournalUnavailable,
    OutcomeUnknown,
    PoliciesUnavailable,
    ReadFailed,
    TooMany,
    TooManyQuestions,
    TooMuchStored,
    UpstreamUnreachable,
)
from gateway.errors.refused import (
    AmbiguousRequest,
    IdempotencyKeyReused,
    InvalidArguments,
    MethodNotAllowed,
    Misdirected,
    NotHeld,
    RequesterGone,
    TooLarge,
    TooSlow,
    UnknownCall,
    UnsupportedEncoding,
    UnsupportedMediaType,
)

__all__ = [
    "AccessDenied",
    "AgentSuspended",
    "AmbiguousRequest",
    "AnswerNotKept",
    "ApprovalExpired",
    "ApprovalPending",
    "ApprovalRejected",
    "CallCancelled",
    "CallInProgress",
    "CallWithdrawn",
    "CredentialEchoed",
    "FoundNotDone",
    "GatewayCredential",
    "GatewayError",
    "IdempotencyKeyReused",
    "InvalidArguments",
    "JournalUnavailable",
    "MethodNotAllowed",
    "Misdirected",
    "NotHeld",
    "NotYet",
    "OutcomeUnknown",
    "Performed",
    "PoliciesUnavailable",
    "PolicyDenied",
    "ReadFailed",
    "RequestRefused",
    "RequesterGone",
    "TooLarge",
    "TooMany",
    "TooManyQuestions",
    "TooMuchStored",
    "TooSlow",
    "Unavailable",
    "UnknownCall",
    "UnknownTool",
    "UnsupportedEncoding",
    "UnsupportedMediaType",
    "UpstreamUnreachable",
]
