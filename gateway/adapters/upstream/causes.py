"""What a failure of pyreqwest proves: read from the chain of causes, because the exception class proves nothing.

The first message of a chain quotes the URL, and a credential may stand in it: it never leaves this file, and the
exceptions are never chained.
"""

from pyreqwest.exceptions import DetailedPyreqwestError

from gateway.ports import NeverSent, SendLost

PROOF = "client error (Connect)"
"""hyper-util's name for: no connection came about. The request had not been given to one."""


def proven(error: Exception) -> NeverSent | SendLost:
    """NeverSent only if the chain proves it."""
    causes = _causes(error)
    if causes[1:2] == [PROOF]:
        return NeverSent(f"no connection to the system came about: {causes[-1]}")
    return SendLost(f"the request was sent, or perhaps sent, and no answer came: {last_cause(error)}")


def last_cause(error: Exception) -> str:
    """The innermost cause, for people; the name of the exception if there is none."""
    causes = _causes(error)
    return causes[-1] if len(causes) > 1 else type(error).__name__


def _causes(error: Exception) -> list[str]:
    details = error.details if isinstance(error, DetailedPyreqwestError) else None
    return [cause["message"] for cause in (details and details["causes"]) or ()]
