"""A sealed log made for a test, file by file, by the specification and not by the code that seals."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.core.codec import encode, envelope
from gateway.core.deployment import DEPLOYMENT, NAME, DeploymentFact
from gateway.core.facts import Fact
from gateway.core.grants import GrantFact
from gateway.core.leaf import leaves_of, short
from gateway.ledger.merkle import Tree, leaf_hash, node_hash
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.tiles import CHECKPOINT, WIDTH, bundle, bundle_path, long_path, tile_path, width_of

SIGNER = Signer.new("gateway.test/audit")
"""Of every log that a test makes without naming another."""


def write_log(ledger: Path, partition: str, leaves: Sequence[bytes], signer: Signer = SIGNER) -> Path:
    """The whole log of one partition: bundles, tiles, long leaves and checkpoint. Returns its directory."""
    directory = ledger / partition
    standing = [short(leaf) for leaf in leaves]
    for leaf, stands in zip(leaves, standing, strict=True):
        if stands != leaf:
            digest = stands.partition(b'"digest":"')[2][:64].decode()
            _write(directory / long_path(digest), leaf)
    for number in range(-(-len(standing) // WIDTH)):
        part = standing[number * WIDTH : (number + 1) * WIDTH]
        _write(directory / bundle_path(number, len(part)), bundle(part))
    _write_tiles(directory, [leaf_hash(leaf) for leaf in standing])
    root = Tree().append(map(leaf_hash, standing)).root
    _write(directory / CHECKPOINT, sign_checkpoint(signer.of(partition), len(standing), root).encode())
    return directory


def _write_tiles(directory: Path, hashes: list[bytes]) -> None:
    level = 0
    while hashes:
        for number in range(-(-len(hashes) // WIDTH)):
            width = width_of(number, len(hashes))
            _write(directory / tile_path(level, number, width), b"".join(hashes[number * WIDTH :][:width]))
        for _ in range(8):
            hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=False)]
        level += 1


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def entry(number: int, name: str, first: int, facts: Iterable[Fact | GrantFact | DeploymentFact]) -> tuple[bytes, ...]:
    """The leaves of one append: entry `number` of the stream, about the call or grant `name`, from fact `first` on."""
    envelopes = [envelope(encode(fact), fact.at, f"{number:016x}") for fact in facts]
    about = b"grant" if name.startswith("grant-") else b"gateway" if name == NAME else b"call"
    fields = {about: name.encode(), b"from": b"%d" % first, b"facts": b"\n".join(envelopes)}
    return leaves_of(b"%d-0" % (1_795_168_800_000 + number), fields)


__all__ = ["DEPLOYMENT", "NAME", "SIGNER", "entry", "write_log"]
