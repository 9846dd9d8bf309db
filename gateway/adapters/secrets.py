"""Reads a credential where routes.yaml says it is kept, at the moment of use, so that rotating it needs no reload.

The value leaves this file only as the return value of `read`: never in an exception, a log or a repr. Exceptions are
raised outside `except` blocks on purpose, because a UnicodeDecodeError that hangs on as context carries the bytes.
"""

import os
import stat
from dataclasses import dataclass, field

from gateway.core.routes import SecretReference
from gateway.core.secret_format import CONTROL, UNSENDABLE
from gateway.ports import SecretMissing

LARGEST = 64 * 1024
"""Bytes. No credential is that long; a log file named by mistake is."""


@dataclass(slots=True)
class _Kept:
    """What a file held when it looked like this."""

    state: tuple[int, int, int, int]
    value: str = field(repr=False)


class Secrets:
    """Reads secrets. A file is read again only if it changed; a variable costs one look-up."""

    def __init__(self) -> None:
        self._files: dict[str, _Kept] = {}
        self._variables: dict[str, str] = {}

    def read(self, reference: SecretReference) -> str:
        """The secret. Raises SecretMissing, which names the reference and never the value."""
        match reference.kind:
            case "env":
                return self._variable(reference.name)
            case "file":
                return self._file(reference.name)

    def _variable(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise SecretMissing(f"the credential is missing: set the environment variable {name}")
        if self._variables.get(name) != value:
            _check(value, f"the environment variable {name}")
            self._variables[name] = value
        return value

    def _file(self, path: str) -> str:
        try:
            found = os.stat(path)  # noqa: PTH116 - this is on the path of every send, and Path costs more than the call
        except (OSError, ValueError) as error:  # ValueError: a path with a null byte
            problem = getattr(error, "strerror", None) or "not a path"
        else:
            kept = self._files.get(path)
            if kept is not None and kept.state == _state(found):
                return kept.value
            value, problem = self._read(path, found)
            if not problem:
                return value
        self._files.pop(path, None)
        raise SecretMissing(f"the credential cannot be read from the file {path!r}: {problem}")

    def _read(self, path: str, found: os.stat_result) -> tuple[str, str]:
        """The value, or what is wrong with it."""
        if not stat.S_ISREG(found.st_mode):  # opening a named pipe would wait for ever
            return "", "it is not a regular file"
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - os.fstat needs the open file
                found = os.fstat(file.fileno())
                content = file.read(LARGEST + 1)
        except OSError as error:
            return "", error.strerror or type(error).__name__
        if len(content) > LARGEST:
            return "", f"it has more than {LARGEST} bytes"
        value = content.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
        _check(value, f"the file {path!r}")
        self._files[path] = _Kept(_state(found), value)
        return value, ""


def _check(value: str, where: str) -> None:
    if not value:
        raise SecretMissing(f"the credential is missing: {where} is empty")
    if CONTROL.search(value):
        raise SecretMissing(f"the credential in {where} cannot be sent: {UNSENDABLE}")


def _state(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_dev
