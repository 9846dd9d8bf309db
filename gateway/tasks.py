"""Tasks that cannot vanish: the only place that may call asyncio.create_task.

The event loop keeps weak references only, so a task nobody holds may be collected in the middle of an effect; and
an exception in a task nobody awaits is never seen. `spawn` keeps the task until it ends and logs why it failed.
It must never swallow: whoever awaits the task still gets its exception.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger("gateway.tasks")

_running: set[asyncio.Task[Any]] = set()


def spawn(
    coro: Coroutine[Any, Any, T], name: str, *, expected: tuple[type[BaseException], ...] = ()
) -> asyncio.Task[T]:
    """Run the coroutine as a task of its own, which no request can cancel.

    `name` appears in the log if the task fails. `expected` are exceptions that whoever awaits the task handles;
    they are not logged.
    """
    task = asyncio.create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(partial(_ended, expected=expected))
    return task


async def cancel_all() -> None:
    """Cancel every spawned task of this event loop except the caller's, and wait until all have ended."""
    loop, caller = asyncio.get_running_loop(), asyncio.current_task()
    mine = [task for task in _running if task.get_loop() is loop and task is not caller]
    for task in mine:
        task.cancel()
    await asyncio.gather(*mine, return_exceptions=True)


def _ended(task: asyncio.Task[Any], *, expected: tuple[type[BaseException], ...]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, expected):
        log.error("the task %s failed", task.get_name(), exc_info=error)
