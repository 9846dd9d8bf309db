"""The composition root: settings and a duty in, a running worker or steward out.

Nothing is decided here. The two kinds of process differ in the port they serve and in who looks after due times; each
loads only what it needs.
"""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.config.mistakes import Mistakes
from gateway.duty import CONFIGURATION_MISTAKE, JOURNAL_UNREACHABLE, Duty, Role
from gateway.logs import log_aside, told
from gateway.parts import embedded
from gateway.payload_keys import PayloadKeysMistake
from gateway.ports import JournalUnavailable
from gateway.settings import Settings
from gateway.valkey_log import no_answer

STANDS_BACK = 5
"""Niceness of the steward beyond the workers': on a processor that both want all of it still gets a quarter, more than
sealing takes, and a call seldom waits for work that nobody waits for."""


def _performing(
    role: Role,
) -> tuple[Callable[[Duty, Settings], Coroutine[Any, Any, None]], tuple[type[Exception], ...]]:
    """What a process of this role does, and which mistakes of whoever configured it that may find."""
    if role == "worker":
        from gateway.working import work  # noqa: PLC0415 - each role loads only its own

        return work, (Mistakes,)
    from gateway.adapters.otlp.environment import NotSupported  # noqa: PLC0415 - the same
    from gateway.stewarding import steward  # noqa: PLC0415 - the same

    return steward, (Mistakes, NotSupported)


def run(duty: Duty, settings: Settings) -> int:
    """One child process, from its duty to its exit code."""
    import uvloop  # noqa: PLC0415 - other commands do not need it

    if duty.role == "steward":
        os.nice(STANDS_BACK)  # here: on Linux only threads that come after it have it too
    lines = log_aside(settings.log_level, f"%(asctime)s %(levelname)s {duty.role} {duty.number}: %(message)s")
    perform, mistaken = _performing(duty.role)
    try:
        uvloop.run(perform(duty, settings))
    except mistaken as mistakes:
        print(mistakes, file=sys.stderr)  # noqa: T201 - a command talking to its user
        return CONFIGURATION_MISTAKE
    except PayloadKeysMistake as mistake:
        duty.hopeless(str(mistake))
        return CONFIGURATION_MISTAKE
    except JournalUnavailable as error:
        data = embedded(duty, settings)
        cure = "start that Redis, or correct GATEWAY_REDIS_URL."
        duty.hopeless(no_answer(data, error) if data else f"the journal cannot be reached ({error}): {cure}")
        return JOURNAL_UNREACHABLE
    finally:
        told(lines)
    return 0
