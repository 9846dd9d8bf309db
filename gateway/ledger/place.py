"""Where the ledger lives, and the key that signs it: found, made at the first start, or refused with a sentence.

A key is made once, for a log that does not exist yet. It is never made anew beside a log that another one signed, and a
file that is there is never written over: without its key a log ends, and an auditor has to be told why.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway import durable
from gateway.core.deployment import DEPLOYMENT
from gateway.core.ledger_settings import LedgerSettings
from gateway.ledger.files import FORMAT, Damaged, read_file
from gateway.ledger.note import LONGEST_NOTE, BadKey, BadNote, Signer, open_checkpoint, read_signer
from gateway.ledger.tiles import CHECKPOINT

KEY = "ledger.key"
VERSION = 1
"""Of the files of a log; what a later one changes, an earlier gateway must not write into."""
FORMAT_LINE = "policy-gateway ledger"
LONGEST = 4096
"""Bytes of a key, or of the line that names the format."""
PRIVATE, FOLDER_MODE = 0o600, 0o750
"""The log may be read by the group too, so that an auditor need be neither root nor the gateway."""


class Unusable(Exception):
    """The ledger cannot be kept here. The message is a sentence that says what to do; nothing was touched."""


@dataclass(frozen=True, slots=True)
class Place:
    directory: Path
    key: Path | None
    """The file of a key of our own; None if routes.yaml names another."""
    origin: str
    """What the key must be called; empty: whatever it is."""

    @classmethod
    def of(cls, settings: LedgerSettings, data: Path) -> "Place":
        """`data`: the data directory."""
        directory = Path(settings.directory) if settings.directory else data / "ledger"
        return cls(directory, None if settings.key else data / KEY, settings.origin)

    def signer(self, given: str = "") -> Signer:
        """The key. `given`: the text of one that routes.yaml names. Raises Unusable."""
        text = given if self.key is None else self._own()
        where = f"the key of `ledger.key` in {str(self.key)!r}" if self.key else "the key that `ledger.key` names"
        cure = "put the right one back from a backup" if self.key else "`gateway key new ledger NAME` makes one"
        try:
            found = read_signer(text)
        except BadKey as error:
            raise Unusable(
                f"The ledger's signing key cannot be used: {where} is none, because {error}; {cure}."
            ) from error
        if self.origin and found.name != self.origin:
            raise Unusable(
                f"The ledger's signing key is of {found.name!r}, but `ledger.origin` says {self.origin!r}: a log keeps "
                "its name and its key for ever. Correct `ledger.origin`, or begin a new log in another directory."
            )
        return found

    def look(self, given: str = "") -> Signer:
        """See that the key and what is in the directory belong together and are ours to go on with. Raises Unusable.

        Only the checkpoint that is met first is looked at: whoever seals looks at all of them.
        """
        self._look_at_format()
        signer = self.signer(given)
        for name in self.logs():
            place = self.directory / name / CHECKPOINT
            try:
                open_checkpoint(read_file(place, LONGEST_NOTE), signer.verifier.of(name))
            except (BadNote, Damaged, FileNotFoundError) as error:
                raise Unusable(
                    f"The log in {str(self.directory)!r} does not belong to the ledger's signing key: of {place}, "
                    f"{error}. Use the key that it was begun with, or keep a new log in another directory."
                ) from error
            break
        return signer

    def make(self) -> None:
        """At a start: the directory, the name of its format and a key, what of them is not there. Raises Unusable."""
        try:
            self._look_at_format()
            self.directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            durable.create(self.directory / FORMAT, f"{FORMAT_LINE} {VERSION}\n".encode(), 0o640)
            if self.key is not None and not self.key.exists():
                self._not_beside_a_log()
                name = self.origin or f"policy-gateway/{secrets.token_hex(4)}"
                durable.create(self.key, f"{Signer.new(name).text()}\n".encode(), PRIVATE)
        except OSError as error:
            raise Unusable(
                f"The ledger cannot be kept in {str(self.directory)!r}: {error.filename or 'it'} cannot be made "
                f"({(error.strerror or str(error)).lower()}). Make it writable, or choose another `ledger.directory`."
            ) from error

    def _own(self) -> str:
        assert self.key is not None, "only asked for a key of our own"
        try:
            return read_file(self.key, LONGEST).decode("ascii", "replace")
        except FileNotFoundError:
            self._not_beside_a_log()
            raise Unusable(
                f"The ledger's signing key {str(self.key)!r} is missing: `gateway serve` makes it."
            ) from None
        except Damaged as error:
            raise Unusable(f"The ledger's signing key cannot be read: {error}.") from error

    def _not_beside_a_log(self) -> None:
        if self.logs():
            raise Unusable(
                f"The ledger's signing key {str(self.key)!r} is missing, but there is a log in {str(self.directory)!r} "
                "that it signed: put the key back from a backup; or name the data directory that it is in by --data, "
                "if that is another; or move the log away to begin a new one."
            )

    def logs(self) -> list[str]:
        """The names of logs that have a checkpoint."""
        with suppress(OSError):
            names = sorted(entry.name for entry in self.directory.iterdir() if entry.name.isdecimal())
            return [name for name in names if name <= DEPLOYMENT and (self.directory / name / CHECKPOINT).exists()]
        return []

    def _look_at_format(self) -> None:
        place = self.directory / FORMAT
        if self.directory.exists() and not self.directory.is_dir():
            raise Unusable(
                f"The ledger cannot be kept in {str(self.directory)!r}, which is not a directory: move that away, or "
                "choose another `ledger.directory`."
            )
        try:
            text = read_file(place, LONGEST).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return
        except Damaged as error:
            raise Unusable(f"The ledger in {str(self.directory)!r} cannot be read: {error}.") from error
        line, _, version = text.rpartition(" ")
        if line != FORMAT_LINE or not version.isdecimal():
            raise Unusable(f"{place} does not name the format of a ledger: choose another `ledger.directory`.")
        if int(version) != VERSION:
            raise Unusable(
                f"The ledger in {str(self.directory)!r} was written by another version of the gateway, in format "
                f"{version}, and this version knows format {VERSION}: run that version again."
            )
