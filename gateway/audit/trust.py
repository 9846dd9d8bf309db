"""By whose key a record is proved, and who vouches for that key.

A proof is worth what its key is worth: a key that came with the files proves that they fit each other, and nothing
about who made them. So whoever prints what was proved can say where the key came from.
"""

from dataclasses import dataclass
from pathlib import Path

from gateway.core.one_line import quoted
from gateway.ledger.files import Damaged, read_file
from gateway.ledger.note import BadKey, Verifier, read_signer, read_verifier
from gateway.ledger.place import KEY, LONGEST

NO_KEY = (
    "No key was given, and none lies beside these files: give --key LINE or --key FILE. `gateway audit key` prints the "
    "line where the gateway runs; get it from somebody who does not give you the files."
)


class NoKey(Exception):
    """What was given is none. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """A key."""

    verifier: Verifier
    vouched: str
    """Who vouches for it, as a sentence without full stop."""
    given: bool
    """By whoever looks, and not found beside what they look at."""


def trusted(given: str, ledger: Path | None = None) -> Trusted | None:
    """The key that was given, as a line or a file; else the public half of the one beside the ledger, if it is there.

    Raises NoKey if that is no key. None: there is neither.
    """
    if given:
        return _given(given)
    beside = None if ledger is None else (ledger if ledger.name else ledger.absolute()).parent / KEY
    if beside is None or not beside.exists():
        return None
    vouched = (
        f"the public half of {beside}. This trusts the host: whoever runs it could have signed another record. An "
        "auditor gives --key"
    )
    try:
        return Trusted(read_signer(_text(beside)).verifier, vouched, given=False)
    except BadKey as error:
        raise NoKey(f"{beside}: {error}.") from error


def _given(given: str) -> Trusted:
    named = _is_there(given)
    if not named and "+" not in given:
        raise NoKey(
            f"{quoted(given)} is neither a verifier key (name+hash+base64) nor a file: see `gateway audit key`."
        )
    try:
        return Trusted(read_verifier(_text(Path(given)) if named else given), "given by --key", given=True)
    except BadKey as error:
        raise NoKey(f"--key {given if named else 'KEY'}: {error}.") from error


def _is_there(given: str) -> bool:
    try:
        return Path(given).exists()
    except OSError:  # far too long for a name
        return False


def _text(path: Path) -> str:
    """Raises NoKey."""
    try:
        return read_file(path, LONGEST).decode()
    except (Damaged, FileNotFoundError) as error:
        raise NoKey(f"The key cannot be read: {error}.") from error
    except UnicodeDecodeError:
        raise NoKey(f"{path} is not a key in text form.") from None
