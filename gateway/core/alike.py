"""Which pending questions are one to a person: the same agent, for the same user, with the same tool and arguments, and
held by the same forbids.

An identical request of one run attaches to its call and asks nobody. What is left are requests that differ only in
what people do not weigh: the run, the idempotency key, who sent them when. It groups cards and binds nothing: a
decision names each call and what was shown of it.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

import orjson

from gateway.core.admit import Admission
from gateway.core.call import FORMAT, joined
from gateway.core.notices import arguments
from gateway.core.record import Record

Key = TypeVar("Key", bound=Hashable)
Each = TypeVar("Each")


def same_question(record: Record, admission: Admission) -> str:
    """Equal for two calls about which a person would decide alike. Not for the ledger: it is no secret's digest."""
    call, tool, judged = admission.call, admission.tool, record.judged
    weighed = {name: value for name, value in arguments(admission).items() if name != tool.key_input}
    asked = sorted((item.group, item.policy, item.text) for item in judged.verdict.requirements) if judged else []
    # What people see of the system may differ where all else is the same, and their yes is bound to it.
    bound = call.id if any(item.bound for item in record.sight.pictures) else ""
    parts = (
        FORMAT, call.agent.encode(), (call.user or "").encode(), call.tool.encode(), call.method.encode(),
        orjson.dumps(weighed, option=orjson.OPT_SORT_KEYS, default=str), orjson.dumps(asked),
        bound.encode(),
    )  # fmt: skip
    return hashlib.sha256(joined(parts)).hexdigest()


def one_card_each(keyed: Iterable[tuple[Key, Each]]) -> Mapping[Key, tuple[Each, ...]]:
    """What has one key together, in the order in which each card came first."""
    cards: dict[Key, tuple[Each, ...]] = {}
    for key, each in keyed:
        cards[key] = (*cards.get(key, ()), each)
    return cards
