"""The data directory: the gateway's own, readable by nobody else.

It holds the journal of the embedded server, keys and logs, so whoever can write to it can approve, and whoever can
read it can read payloads. The gateway never loosens a mode, never takes over a directory that holds other things,
and never follows a link that somebody else could have planted.
"""

import hashlib
import os
import stat
from pathlib import Path

from gateway.children import CannotStart

# sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included. One limit, so that both behave alike.
SOCKET_PATH_LIMIT = 103
SOCKET = "valkey.sock"

# Marks a directory as ours: then a mode that grew too wide is repaired instead of refused.
OURS = "gateway.lock"

PRIVATE = 0o700


def socket_path(data: Path) -> Path:
    """Where the embedded server listens: in the data directory, or in /tmp if that path is too long for a socket."""
    data = data.absolute()
    path = data / SOCKET
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    # Always /tmp and never TMPDIR: every command of this user has to find the same place.
    return Path(f"/tmp/gateway-{os.getuid()}") / f"{name}.sock"  # noqa: S108  prepare_data makes sure it is ours


def identity(data: Path) -> tuple[int, int] | None:
    """What tells this directory from any other that is at the same path later; None if it is not a gateway's.

    It is that of the lock, which a running gateway holds open: so nothing else can get its number meanwhile.
    """
    try:
        found = (data / OURS).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def prepare_data(data: Path, socket: Path | None = None) -> None:
    """Make the directory (0700), or make sure that it is ours alone; the same for the socket's, if that is elsewhere.

    Raises CannotStart with a sentence that says what to do.
    """
    _prepare(data, "the data directory", data.absolute() / "gateway")
    if socket is not None and socket.parent != data.absolute():
        if socket.parent.is_symlink():
            raise CannotStart(f"{str(socket.parent)!r} is a link, which anybody could have planted: remove it.")
        try:
            _prepare(socket.parent, "the directory of the embedded server's socket", None)
        except CannotStart as error:
            raise CannotStart(
                f"The path {str(data.absolute())!r} is too long for a unix socket, so the socket has to be in "
                f"{str(socket.parent)!r}; but: {error} Or choose a shorter --data."
            ) from error


def _prepare(path: Path, what: str, better: Path | None) -> None:
    cure = f"use a directory that the gateway can make itself, such as {str(better)!r}" if better else "remove it"
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = path.stat()
        foreign = _holds_other_things(path) if found.st_uid == os.getuid() else True
    except FileExistsError as error:
        raise CannotStart(f"{what.capitalize()} {str(path)!r} is a file: choose another path.") from error
    except OSError as error:
        raise CannotStart(f"{what.capitalize()} {str(path)!r} cannot be made or read: {error.strerror}.") from error
    if found.st_uid != os.getuid():
        raise CannotStart(
            f"{what.capitalize()} {str(path)!r} belongs to user {found.st_uid}, but the gateway runs as user "
            f"{os.getuid()}: {cure}."
        )
    if stat.S_IMODE(found.st_mode) & ~PRIVATE:
        if foreign:
            raise CannotStart(
                f"{what.capitalize()} {str(path)!r} is open to other users and holds things that are not the "
                f"gateway's: run `chmod 700 {path}`, or {cure}."
            )
        try:
            path.chmod(PRIVATE)
        except OSError as error:
            raise CannotStart(
                f"{what.capitalize()} {str(path)!r} cannot be made private ({error.strerror}): {cure}."
            ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise CannotStart(f"{what.capitalize()} {str(path)!r} cannot be written: make it writable, or {cure}.")


def _holds_other_things(path: Path) -> bool:
    with os.scandir(path) as entries:
        names = {entry.name for entry in entries}
    return bool(names) and OURS not in names
