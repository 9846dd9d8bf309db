"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), with Ed25519: what makes a root somebody's word.

    gateway.acme.example/audit/07
    1234
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — gateway.acme.example/audit/07 Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+...

The key of every partition's log is the same Ed25519 key under another name, so an auditor needs one line: the verifier
key of the ledger. The keys have the text form that other tools for such logs use.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
LONGEST_NOTE = 64 * 1024
"""Bytes; a checkpoint has a few hundred."""


class BadKey(ValueError):
    """A key's text cannot be read; the message is a clause that says why, and never repeats the key."""


class BadNote(ValueError):
    """A note cannot be read, or nobody whom we trust signed it; the message is a clause that says why."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who may sign: a name and a public key."""

    name: str
    public: bytes
    """32 bytes."""

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """`<name>+<hash>+<base64>`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def of(self, partition: str) -> "Verifier":
        """The same key under the name of one partition's log."""
        return Verifier(f"{self.name}/{partition}", self.public)

    def signed(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs under a name. Never shown: its `repr` has no key."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def new(cls, name: str) -> "Signer":
        if not _NAME.fullmatch(name):
            raise BadKey(f"{name!r} cannot be the name of a key: it needs characters, and neither spaces nor '+'")
        return cls(name, Ed25519PrivateKey.generate())

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self.private.public_key().public_bytes_raw())

    def of(self, partition: str) -> "Signer":
        return Signer(f"{self.name}/{partition}", self.private)

    def text(self) -> str:
        """The secret itself, `PRIVATE+KEY+<name>+<hash>+<base64>`: for a file that nobody else can read."""
        seed = base64.b64encode(ED25519 + self.private.private_bytes_raw()).decode()
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{seed}"

    def sign(self, text: str) -> str:
        """The note: the text, which ends with a newline, and our signature below it."""
        verifier = self.verifier
        signature = base64.b64encode(verifier.key_id + self.private.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"


def read_signer(text: str) -> Signer:
    """The signer that `Signer.text` wrote. Raises BadKey."""
    rest = text.strip().removeprefix("PRIVATE+KEY+")
    if rest == text.strip():
        raise BadKey("it does not begin with PRIVATE+KEY+")
    name, key_id, seed = _key_parts(rest)
    signer = Signer(name, Ed25519PrivateKey.from_private_bytes(seed))
    if signer.verifier.key_id.hex() != key_id:
        raise BadKey("its parts do not belong together: a character of it was lost or changed")
    return signer


def read_verifier(text: str) -> Verifier:
    """The verifier key in its text form. Raises BadKey."""
    if text.strip().startswith("PRIVATE+KEY+"):
        raise BadKey("it is the private key, which only the gateway may have")
    name, key_id, public = _key_parts(text.strip())
    verifier = Verifier(name, public)
    if verifier.key_id.hex() != key_id:
        raise BadKey("its parts do not belong together: a character of it was lost or changed")
    return verifier


def _key_parts(text: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKey("it is not of the form name+hash+base64") from error
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{8}", key_id) or len(key) != 33:
        raise BadKey("it is not of the form name+hash+base64, with 33 bytes in the last part")
    if key[:1] != ED25519:
        raise BadKey(f"it is of type {key[0]}, and only Ed25519 (1) is known here")
    return name, key_id, key[1:]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a log goes, and its root at that size."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(signer: Signer, size: int, root: bytes) -> str:
    """The checkpoint of the log that is named as the signer is, as a signed note."""
    return signer.sign(Checkpoint(signer.name, size, root).text)


def read_checkpoint(note: bytes) -> Checkpoint:
    """What the note says, whoever signed it. Raises BadNote."""
    text, _ = _split(note)
    lines = text.split("\n")
    if len(lines) < 4:
        raise BadNote("it has no lines for origin, size and root")
    origin, size, root = lines[:3]
    try:
        found = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("its root is not base64") from error
    if not origin or not _SIZE.fullmatch(size) or len(found) != 32:
        raise BadNote("its origin, size or root is none")
    return Checkpoint(origin, int(size), found)


def open_checkpoint(note: bytes, verifier: Verifier) -> Checkpoint:
    """What the note says, if this key signed it and it is of the log with the key's name. Raises BadNote."""
    text, signatures = _split(note)
    ours = [found for name, found in signatures if name == verifier.name and found[:4] == verifier.key_id]
    if not ours:
        names = ", ".join(dict.fromkeys(name for name, _ in signatures)) or "nobody"
        raise BadNote(f"it is signed by {names}, and not under the key {verifier.name}+{verifier.key_id.hex()}")
    if not all(verifier.signed(text.encode(), found[4:]) for found in ours):
        raise BadNote("its signature is wrong: somebody changed it, or made it without the key")
    found = read_checkpoint(note)
    if found.origin != verifier.name:
        raise BadNote(f"it is of the log {found.origin}, not of {verifier.name}")
    return found


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text, and who signed it with what."""
    if len(note) > LONGEST_NOTE:
        raise BadNote("it is too long for a note")
    try:
        decoded = note.decode()
    except UnicodeDecodeError as error:
        raise BadNote("it is not UTF-8") from error
    if any(ord(character) < 0x20 and character != "\n" for character in decoded):
        raise BadNote("it has control characters")
    place = decoded.rfind("\n\n")
    if place < 0 or not decoded.endswith("\n"):
        raise BadNote("it has no signatures behind an empty line")
    text, signatures = decoded[: place + 1], []
    for line in decoded[place + 2 :].removesuffix("\n").split("\n"):
        found = _SIGNATURE.fullmatch(line)
        try:
            value = base64.b64decode(found[2], validate=True) if found else b""
        except (binascii.Error, ValueError):
            value = b""
        # The last character may have bits that mean nothing: then another file would be the same note.
        if found is None or len(value) < 5 or base64.b64encode(value).decode() != found[2]:
            raise BadNote("a line of its signatures cannot be read")
        signatures.append((found[1], value))
    return text, signatures
