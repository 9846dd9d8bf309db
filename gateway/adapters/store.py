"""The ledger's store: a directory that hosts share, or a bucket of anything that speaks the API of S3.

What `put` returns from is durable. For a directory that takes an fsync of the file before it gets its name and one of
the folder after; the library that serves S3, obstore, also knows directories but never syncs, so it is not used there.

A store that is not there must never look like one that is empty: whoever believed that would take a log that somebody
else has for a new one. So the directory is never made here, and a bucket that does not exist is no `None`.
"""

import os
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from gateway import durable
from gateway.core.ledger_settings import Bucket, SharedDirectory
from gateway.core.ledger_settings import Store as StoreSettings
from gateway.core.secret_reference import SecretReference
from gateway.ledger.store import Store, StoreUnavailable
from gateway.ports import SecretMissing

DRAFTS = "drafts"
MODE, FOLDER_MODE = 0o640, 0o750
"""Readable by the group too, as the ledger's own directory."""
TIMEOUT, CONNECT_TIMEOUT = "10s", "3s"
"""For one request. Whoever seals tries again by himself."""

ReadSecret = Callable[[SecretReference], str]


def open_store(settings: StoreSettings, read: ReadSecret, ca_file: Path | None = None) -> Store:
    """The store that routes.yaml names. Connects at first use. `ca_file`: more certificate authorities, PEM."""
    match settings:
        case SharedDirectory():
            return DirectoryStore(Path(settings.path))
        case Bucket():
            return BucketStore(settings, read, ca_file)


@dataclass(slots=True)
class DirectoryStore:
    """See `gateway.ledger.store.Store`."""

    root: Path
    _drafter: str = field(default_factory=lambda: f"{os.uname().nodename}-{secrets.token_hex(4)}")
    """What tells our drafts from those of other hosts."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _drafts: int = 0

    def put(self, path: str, data: bytes) -> None:
        self._must_be_there()
        with self._lock:
            self._drafts += 1
            draft = self.root / DRAFTS / f"{self._drafter}-{self._drafts}"
        target = self.root / path
        try:
            for folder in (draft.parent, target.parent):
                self._make(folder)
            durable.write(draft, data, MODE)
            draft.replace(target)
            durable.settle(target.parent)
        except OSError as error:
            raise self._failed("written", error) from error

    def get(self, path: str) -> bytes | None:
        self._must_be_there()
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error

    def list(self, prefix: str) -> list[str]:
        self._must_be_there()
        try:
            found = [path for path in (self.root / prefix).rglob("*") if path.is_file()]
        except OSError as error:
            raise self._failed("read", error) from error
        return [str(path.relative_to(self.root)) for path in found]

    def delete(self, path: str) -> None:
        self._must_be_there()
        try:
            (self.root / path).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("written", error) from error

    def _must_be_there(self) -> None:
        if not self.root.is_dir():
            raise StoreUnavailable(f"there is no directory {str(self.root)!r}: mount it, or make it")

    def _make(self, folder: Path) -> None:
        """The folder and what it is in, each durable in what holds it; the root itself is never made."""
        for part in reversed([folder, *folder.parents]):
            if part.is_relative_to(self.root) and part != self.root and not part.is_dir():
                part.mkdir(mode=FOLDER_MODE, exist_ok=True)
                durable.settle(part.parent)

    def _failed(self, how: str, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"{str(self.root)!r} cannot be {how} ({(error.strerror or str(error)).lower()})")


@dataclass(slots=True)
class BucketStore:
    """See `gateway.ledger.store.Store`."""

    settings: Bucket
    read: ReadSecret = field(repr=False)
    ca_file: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _keys: tuple[str, str] | None = field(default=None, repr=False)
    _client: S3Store | None = None

    def put(self, path: str, data: bytes) -> None:
        try:
            obstore.put(self._opened(), path, data)
        except (BaseError, OSError) as error:
            raise self._failed(error) from error

    def get(self, path: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._opened(), path).bytes())
        except FileNotFoundError as error:
            if _code(error) == "NoSuchKey":
                return None
            raise self._failed(error) from error
        except (BaseError, OSError) as error:
            raise self._failed(error) from error

    def list(self, prefix: str) -> list[str]:
        try:
            return [found["path"] for chunk in obstore.list(self._opened(), prefix) for found in chunk]
        except (BaseError, OSError) as error:
            raise self._failed(error) from error

    def delete(self, path: str) -> None:
        try:
            obstore.delete(self._opened(), path)
        except FileNotFoundError as error:
            if _code(error) != "NoSuchKey":
                raise self._failed(error) from error
        except (BaseError, OSError) as error:
            raise self._failed(error) from error

    def _opened(self) -> S3Store:
        """The client for today's keys, which are read at each use so that rotating them needs no restart."""
        access, secret = self.settings.access_key, self.settings.secret_key
        try:
            keys = (self.read(access), self.read(secret)) if access and secret else None
        except SecretMissing as error:
            raise StoreUnavailable(str(error)) from error
        with self._lock:
            if self._client is None or keys != self._keys:
                self._client, self._keys = self._made(keys), keys
            return self._client

    def _made(self, keys: tuple[str, str] | None) -> S3Store:
        given: dict[str, Any] = {}
        if keys:
            # A provider and not values: beside those, a session token from the environment would be taken too.
            credential = {"access_key_id": keys[0], "secret_access_key": keys[1], "expires_at": None}
            given["credential_provider"] = lambda: credential
        if self.settings.endpoint:
            given["endpoint"] = self.settings.endpoint
        options: dict[str, Any] = {"timeout": TIMEOUT, "connect_timeout": CONNECT_TIMEOUT}
        options["allow_http"] = self.settings.endpoint.startswith("http://")
        if self.ca_file:
            options["root_certificate"] = self.ca_file.read_text(encoding="ascii")
        return S3Store(
            self.settings.name,
            prefix=self.settings.prefix or None,
            region=self.settings.region,
            client_options=options,  # type: ignore[arg-type] # its type exists only for checkers
            retry_config={"max_retries": 0},
            **given,
        )

    def _failed(self, error: Exception) -> StoreUnavailable:
        """obstore's own words are pages long and quote what the store said, which may name a key."""
        where = f"bucket {self.settings.name!r}" + (f" at {self.settings.endpoint}" if self.settings.endpoint else "")
        code, status = _code(error), re.search(r"non-2xx status code: (\d{3})", str(error))
        if code == "NoSuchBucket":
            return StoreUnavailable(f"there is no {where}: make it, or correct `ledger.store`")
        if status:
            return StoreUnavailable(f"{where} answered {status[1]}{f' {code}' if code else ''}")
        if "redirect" in str(error):
            return StoreUnavailable(f"{where} is elsewhere: correct its region or endpoint in `ledger.store`")
        away = "HTTP error" in str(error)
        return StoreUnavailable(f"{where} {'cannot be reached' if away else 'gave an answer that is not of S3'}")


def _code(error: Exception) -> str:
    """What S3 calls what happened."""
    found = re.search(r"<Code>(\w{1,60})</Code>", str(error))
    return found[1] if found else ""
