"""How often something may happen: a value. Who counts, and what happens beyond it, is for whoever uses it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """So many, in any stretch of time of that length."""

    most: int
    seconds: float


QUESTIONS = Quota(100, 3600.0)
"""How many new questions an agent may put to people if routes.yaml says nothing."""
