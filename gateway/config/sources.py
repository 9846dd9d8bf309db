"""The files behind `--routes`, read and merged: one file, or every *.yaml of a directory, one definition per name.

A directory is merged strictly: no file wins over another, and each says `version: 1`. Symbolic links are followed
(Kubernetes mounts a ConfigMap as links into `..data`), and names that begin with a dot are not ours. A file that
looks as if it should be read, but would not be, is a mistake rather than a surprise.
"""

from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.models import FileModel
from gateway.config.reading import Definition, Reading
from gateway.config.yaml_lines import GIVE_ONE, Node, Place, items, read

BIGGEST = 16 * 1024 * 1024
"""Bytes of one file: far more than a configuration, so that a wrong path does not fill the memory."""
SECTIONS = ("people", "approvals", "agents", "systems")


@dataclass(slots=True)
class Source:
    """What all files say together."""

    sections: dict[str, Node] = field(default_factory=dict)
    """Merged mappings; each definition keeps the place in its own file."""
    listen: Definition | None = None
    ledger: Definition | None = None


def source(path: Path, reading: Reading) -> Source:
    """Read and merge. Mistakes of files, form and sections are noted; the rest goes on without them."""
    merged = Source()
    for file in _files(path, reading):
        root = _document(file, reading)
        if root is not None:
            _merge(merged, root, reading)
    return merged


def _files(path: Path, reading: Reading) -> list[Path]:
    here = Place(str(path), 0)
    try:
        if not path.is_dir():
            return [path]
        names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        reading.note(here, f"cannot be read ({_reason(error)}); check the path and its permissions")
        return []
    for name in names:
        if name.endswith(".yml"):
            reading.note(Place(str(path / name), 0), "only *.yaml files are read; rename it to .yaml or move it away")
    found = [path / name for name in names if name.endswith(".yaml")]
    if not found:
        reading.note(here, "this directory has no *.yaml file; put routes.yaml there, or give its path with --routes")
    return found


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _document(file: Path, reading: Reading) -> Node | None:
    """The top mapping of one file, or None after noting why there is none."""
    here = Place(str(file), 0)
    try:
        if file.exists() and not file.is_file():
            reading.note(here, "is not a regular file; give a file, or a directory with *.yaml files")
            return None
        with file.open("rb") as stream:
            content = stream.read(BIGGEST + 1)
    except FileNotFoundError:
        reading.note(here, "there is no such file; give the path of routes.yaml, or of its directory, with --routes")
        return None
    except OSError as error:
        reading.note(here, f"cannot be read ({_reason(error)}); check the path and its permissions")
        return None
    if len(content) > BIGGEST:
        reading.note(here, f"is larger than {BIGGEST // 1024**2} MiB; this cannot be a configuration")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reading.note(Place(str(file), line), "is not UTF-8 here; save the file as UTF-8")
        return None
    root, mistakes = read(text, str(file))
    reading.mistakes += mistakes
    if root is None or root.value is None:
        if not mistakes:
            reading.note(here, "is empty; begin with `version: 1`")
        return None
    return _top(root, Place(str(file), 1), reading)


def _top(root: Node, place: Place, reading: Reading) -> Node | None:
    """Check version and sections. A mistake in one section leaves the others to be read."""
    reading.validated(FileModel, Definition("", "the file", place, root))
    if not isinstance(root.value, dict):
        return None
    for section in SECTIONS:
        given = root.value.get(section)
        if given is not None and isinstance(given.value, list):
            _forget_hollow(given.value, reading)
    return root


def _forget_hollow(entries: list[Node], reading: Reading) -> None:
    """Names without a value in a list that should be a mapping: as a mapping they would have one."""
    places = {(place.file, place.line) for entry in entries for place in entry.keys.values()}
    reading.mistakes = [
        mistake
        for mistake in reading.mistakes
        if not mistake.sentence.endswith(GIVE_ONE) or (mistake.file, mistake.line) not in places
    ]


def _merge(merged: Source, root: Node, reading: Reading) -> None:
    assert isinstance(root.value, dict)
    for section in SECTIONS:
        given = root.value.get(section)
        if given is None or not isinstance(given.value, dict):
            continue
        into = merged.sections.setdefault(section, Node(root.keys[section], {}))
        assert isinstance(into.value, dict)
        for name, node in items(given):
            if name in into.value:
                earlier = into.keys[name]
                reading.note(given.keys[name], f"`{name}` is already defined under `{section}` in {earlier}; keep one")
                continue
            into.value[name] = node
            into.keys[name] = given.keys[name]
    merged.listen = _once("listen", merged.listen, root, reading)
    merged.ledger = _once("ledger", merged.ledger, root, reading)


def _once(section: str, earlier: Definition | None, root: Node, reading: Reading) -> Definition | None:
    """A section that is given as a whole, in one file."""
    assert isinstance(root.value, dict)
    given = root.value.get(section)
    if given is None:
        return earlier
    if earlier is not None:
        reading.note(root.keys[section], f"`{section}` is already given in {earlier.place}; keep one")
        return earlier
    return Definition(section, f"`{section}`", root.keys[section], given)
