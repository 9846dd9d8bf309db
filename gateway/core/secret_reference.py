"""Where a secret is kept. The value itself never passes through core."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is kept. It is read at the moment of use, so rotating it needs no reload."""

    kind: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"
