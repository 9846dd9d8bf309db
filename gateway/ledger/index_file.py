"""The file `index.sqlite`: made, opened, and thrown away when it cannot be used. What is in it, `index` knows.

Everything here may be lost at any time, so nothing is ever repaired.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import orjson

NAME = "index.sqlite"
VERSION = 3
"""Of what is in it. Another version is not read but made anew."""
MODE = 0o640
"""As the files of the log: whoever may not read those must not read what they say."""
PATIENCE_SECONDS = 30
"""For somebody else who writes it."""
TABLES = """
CREATE TABLE place (partition TEXT PRIMARY KEY, size INTEGER, hash BLOB) WITHOUT ROWID;
CREATE TABLE subject (
  id TEXT PRIMARY KEY, kind TEXT, begun INTEGER, last INTEGER, agent TEXT, user TEXT, run TEXT, system TEXT, tool TEXT,
  effect TEXT, resource TEXT, outcome TEXT, status INTEGER, people TEXT, resources TEXT,
  policies TEXT, leaves BLOB
);
CREATE INDEX by_time ON subject (kind, begun, id);
CREATE TABLE deployment (leaf INTEGER PRIMARY KEY, at INTEGER, type TEXT, about TEXT);
"""


def on_disk(path: Path, *, afresh: bool = False) -> sqlite3.Connection | None:
    """The index in that file, empty if what was there could not be used; None if it cannot be written."""
    try:
        base = _connect(path)
        if afresh or not _usable(base):
            base.close()
            for name in (path, path.with_name(f"{path.name}-journal")):
                name.unlink(missing_ok=True)
            base = _connect(path)
            path.chmod(MODE)
            _make(base)
        base.execute("DELETE FROM place WHERE partition = ''")  # nothing; but a file that is only readable refuses it
    except (sqlite3.Error, OSError):
        return None
    return base


def in_memory(like: Path | None = None) -> sqlite3.Connection:
    """An index that nobody else sees: empty, or what can be read in the file `like`."""
    base = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if like is not None and like.is_file():
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{like.absolute().as_uri()}?mode=ro", uri=True)) as file:
            if _usable(file):
                file.backup(base)
                return base
    _make(base)
    return base


def as_line(name: str) -> str:
    """A name in a column of several."""
    return orjson.dumps(name).decode()


def damaged(error: sqlite3.Error) -> bool:
    """What is in the file is wrong, and not that it cannot be read or written now."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def unwritable(error: sqlite3.Error) -> bool:
    """Nothing can be written where the file is: the disk is full, or it became read-only."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS, check_same_thread=False)


def _usable(base: sqlite3.Connection) -> bool:
    try:
        [(version,)] = base.execute("PRAGMA user_version")
        return bool(version == VERSION and base.execute("SELECT count(*) FROM place").fetchone())
    except sqlite3.DatabaseError as error:
        if damaged(error):
            return False
        raise


def _make(base: sqlite3.Connection) -> None:
    base.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
