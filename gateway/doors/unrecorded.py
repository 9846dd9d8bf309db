"""What could not be recorded about a call, as the control plane's answers: one place for what every door is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway import control_errors
from gateway.core.approval import CannotEdit, NotEligible, Stale
from gateway.decisions import NoSuchCall
from gateway.errors import GatewayError


@contextmanager
def unrecorded(call: str, stale: Callable[[str, str], GatewayError] = control_errors.ApprovalStale) -> Iterator[None]:
    """Raises the GatewayError for whatever `gateway.decisions` refuses inside; `stale`: what a late word gets."""
    try:
        yield
    except NoSuchCall as error:
        raise control_errors.UnknownCall(call) from error
    except Stale as error:
        raise stale(call, str(error)) from error
    except NotEligible as no:
        raise control_errors.NotEligible(call, str(no)) from no
    except CannotEdit as no:
        raise control_errors.CannotEdit(call, str(no)) from no
