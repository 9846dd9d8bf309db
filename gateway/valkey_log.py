"""Why the embedded server ended or does not answer: read from its log and its disk, said with what to do.

The supervisor says it when the server ends, `/readyz` for as long as it is away. It must never need the server.
"""

import shutil
from pathlib import Path

LOG = "valkey.log"

# What is read of the log to explain a death: the last few lines are enough.
LOG_TAIL = 4096
# A server's first line; what is before the last of them was said by an earlier one.
FIRST_LINE = "is starting oO0OoO0OoO0Oo"

# A disk with less is full: the server writes files of some kilobytes when it starts.
FULL_BYTES = 64 * 1024
FULL = "No space left on device"

# What the server says, and what to do. The first sign that is found in its log counts.
EXPLANATIONS = {
    FULL: ("the disk that holds {data} is full: free some space; nothing acknowledged is lost"),
    "Disk quota exceeded": ("the disk quota of {data} is used up: free some space; nothing acknowledged is lost"),
    "Short write while writing to the AOF": (
        "the disk that holds {data} is full or failing: free some space; nothing acknowledged is lost"
    ),
    "Bad file format reading the append only file": (
        "the journal in {data}/appendonlydir is damaged and was left as it is: copy the directory somewhere safe and "
        "restore it from a backup; `valkey-check-aof --fix` would cut off everything after the damage"
    ),
    "AOF manifest": (
        "the manifest of the journal in {data}/appendonlydir is damaged and was left as it is: copy the directory "
        "somewhere safe and restore it from a backup"
    ),
    "Unable to obtain the AOF file": (
        "a file of the journal in {data}/appendonlydir is missing: restore the whole directory from a backup"
    ),
    "Permission denied": ("files in {data} belong to another user: give them to the user that runs the gateway"),
    "Read-only file system": (
        "{data} is on a read-only file system: mount it writable, or choose another directory with --data"
    ),
}


def explanation(data: Path, start: int = 0) -> str:
    """Why the last server in this directory ended or cannot work, and what to do; empty if nothing tells.

    `start`: where in its log that server began, if known.
    """
    text = _last_words(data / LOG, start)
    try:
        full = shutil.disk_usage(data).free < FULL_BYTES
    except OSError:
        full = False
    if full:
        text += FULL  # there may have been no room to write it
    return next((what.format(data=data) for sign, what in EXPLANATIONS.items() if sign in text), "")


def no_answer(data: Path, error: Exception) -> str:
    """Why nothing can be started on the journal in this directory, and what to do."""
    why = explanation(data) or f"see its log, {data / LOG}"
    return f"the embedded journal does not answer ({error}): {why}. Then start the gateway again."


def _last_words(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - LOG_TAIL))
            return file.read().decode(errors="replace").rpartition(FIRST_LINE)[2]
    except OSError:
        return ""
