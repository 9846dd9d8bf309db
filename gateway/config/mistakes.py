"""A mistake in a configuration file: where it is, and one clear sentence that says what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    file: str
    line: int
    """1-based; 0 if the mistake is about the file as a whole."""
    sentence: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.sentence}"


class Mistakes(Exception):
    """Everything that is wrong, at once, in the order of files and lines."""

    def __init__(self, found: list[Mistake]) -> None:
        super().__init__("\n".join(map(str, sorted(found))))
        self.found = sorted(found)
