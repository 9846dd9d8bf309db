"""Values: compared by what they hold, hashable, never changed.

The type checker refuses every assignment to a field of a value, as for a frozen dataclass. At run time nothing
checks, because a frozen dataclass pays for that check once per field whenever it is made (2.5 times the price), and
a call makes a few hundred fields. Use it for what every call makes; `dataclass(frozen=True)` for everything else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def keyword_value(cls: type[T]) -> type[T]:
    """A value whose fields are given by name."""
    return _made(cls, kw_only=True)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def positional_value(cls: type[T]) -> type[T]:
    """A value whose fields may also be given by place."""
    return _made(cls, kw_only=False)


def _made(cls: type[T], *, kw_only: bool) -> type[T]:
    make: Callable[[type[T]], type[T]] = dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)
    return make(cls)
