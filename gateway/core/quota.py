"""How often something may happen, or how much may be kept: values. Who counts, and what happens beyond it, is for
whoever uses them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """So many, in any stretch of time of that length."""

    most: int
    seconds: float


QUESTIONS = Quota(100, 3600.0)
"""How many new questions an agent may put to people if routes.yaml says nothing."""
STORAGE = 1024**3
"""How many bytes of requests and answers are kept for an agent if routes.yaml says nothing."""
COUNTED = 4096
"""Bytes from which a request or an answer counts against that. A smaller one is no more than the facts beside it, and
those come at most as fast as the agent may call."""
