"""What tests that start and kill processes ask."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

# Something that must happen has happened long before this; a test that waits in vain fails.
PATIENCE_SECONDS = 20.0


def gone(pid: int | None) -> bool:
    """The process has ended, even if nobody has waited for it yet."""
    assert pid is not None, "it never ran"
    try:
        os.kill(pid, 0)
        return Path("/proc").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)
