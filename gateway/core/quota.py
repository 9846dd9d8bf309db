"""How often something may happen: a value. Who counts, and what happens beyond it, is for whoever uses it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """So many, in any stretch of time of that length."""

    most: int
    seconds: float
