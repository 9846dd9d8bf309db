"""What the leaves of one log say, as one story: in order, whole, and possible.

Leaves are told in the order of the log. Each must be canonical, be about this partition, follow the one before it in
the stream and in its call, and could have happened there (`gateway.core.lives`). What only other logs can settle is
collected, not judged: which generations verdicts name, and where a call begins again at an earlier place or the stream
numbers appends anew, which is what a journal that was restored from an older state writes once a person has
acknowledged the loss.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.core.call import partition_of
from gateway.core.codec import UnreadableFact
from gateway.core.deployment import DEPLOYMENT, DeploymentFact, Loaded, LossAcknowledged
from gateway.core.facts import Admitted, Fact, Judged
from gateway.core.grants import Granted, GrantFact, Revoked, partition_in
from gateway.core.leaf import Leaf, NotALeaf, entry_order, read_leaf, short
from gateway.core.lives import Life
from gateway.core.said import NEVER_GIVEN, GrantLife, Impossible
from gateway.core.times import YEAR_10000_MS

LONGEST_ENTRY = 41
"""Characters of an entry's id: two numbers of 64 bits."""
Long = Callable[[str], bytes]
"""A leaf that is too long to stand in the log, by its digest. Raises Damaged."""


class Wrong(Exception):
    """A leaf says what it cannot say where it stands. The message is a sentence without full stop."""


@dataclass(slots=True, kw_only=True)
class Mention:
    """Where a generation is first named, and where last, as times of the journal: milliseconds since the epoch."""

    index: int
    name: str
    first: int
    last: int


@dataclass(slots=True)
class Story:
    """Of one partition. `again`: told a second time, for the calls in it alone, from wherever they begin again."""

    partition: str
    long: Long
    again: frozenset[str] = frozenset()
    calls: dict[str, Life | None] = field(default_factory=dict)
    """None: it begins again somewhere, so it is told by itself when all others are."""
    grants: dict[str, GrantLife] = field(default_factory=dict)
    begins_again: dict[str, int] = field(default_factory=dict)
    """By call, grant or deployment: at which leaf."""
    generations: dict[str, Mention] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    goes_back: list[int] = field(default_factory=list)
    """Leaves whose append the stream numbered before the one in front of it."""
    losses: int = 0
    first: int = 0
    """When the first fact was written, and the last: milliseconds since the epoch."""
    last: int = 0
    recorded_since: int = 0
    """When generations began to be recorded."""
    _of_deployment: int = 0
    """How many facts about it there were."""
    _grants: dict[str, list[GrantLife]] = field(default_factory=dict)
    """Each as it was after so many facts."""
    _pasts: dict[str, list[Life]] = field(default_factory=dict)
    _entry: tuple[object, ...] = ("",)
    """What the leaves of the last append share; its id is the first."""
    _order: tuple[int, int] = (-1, -1)

    def tell(self, index: int, data: bytes) -> Leaf:
        """One more leaf. Raises Wrong, or Damaged of a long one."""
        try:
            leaf = read_leaf(data)
            whole = self._whole(leaf, data) if leaf.digest else leaf
            fact = whole.fact()
        except (NotALeaf, UnreadableFact) as error:
            raise Wrong(f"it is not a fact as this gateway writes it: {error}") from error
        self._follows(index, leaf)
        self._belongs(leaf, fact)
        try:
            self._happened(index, leaf, fact)
        except Impossible as no:
            raise Wrong(f"{type(fact).__name__} cannot have happened here: {no}") from no
        return leaf

    def _whole(self, leaf: Leaf, data: bytes) -> Leaf:
        full = self.long(leaf.digest)
        if short(full) != data:
            raise NotALeaf(f"long/{leaf.digest} is not the leaf that it is named after")
        return read_leaf(full)

    def _follows(self, index: int, leaf: Leaf) -> None:
        """The stream numbers appends; all facts of one stand together, were written at once, and are about one call."""
        append = (leaf.entry, leaf.by, leaf.at, leaf.about, leaf.name)
        if leaf.entry == self._entry[0]:
            if append != self._entry:
                raise Wrong(f"it differs from the leaf before it in what all facts of append {leaf.entry} share")
            return
        if leaf.at >= YEAR_10000_MS or len(leaf.entry) > LONGEST_ENTRY:
            raise Wrong("its time, or its append's, is no time that a journal can have")
        order = entry_order(leaf.entry)
        if order <= self._order:
            self.goes_back.append(index)
        self._entry, self._order = append, order
        self.first, self.last = self.first or leaf.at, max(self.last, leaf.at)

    def _belongs(self, leaf: Leaf, fact: Fact | GrantFact | DeploymentFact) -> None:
        name, about = leaf.name, leaf.about
        here = DEPLOYMENT if about == "gateway" else partition_in(name) if about == "grant" else name[:2]
        if here != self.partition or (about != "gateway" and here == DEPLOYMENT):
            raise Wrong(f"it is about {name}, which does not belong into this log")
        if isinstance(fact, Granted | Revoked) and fact.grant != name:
            raise Wrong(f"it is about {fact.grant}, and stands under {name}")
        if isinstance(fact, Admitted) and fact.call.id != name:
            raise Wrong(f"it admits {fact.call.id}, and stands under {name}")
        if isinstance(fact, Admitted | Granted):
            agent = fact.call.agent if isinstance(fact, Admitted) else fact.agent
            if f"{partition_of(agent):02d}" != here:
                raise Wrong(f"what {agent} does belongs into log {partition_of(agent):02d}")

    # --- Lives -------------------------------------------------------------------------------------------------------

    def _happened(self, index: int, leaf: Leaf, fact: Fact | GrantFact | DeploymentFact) -> None:
        if isinstance(fact, GrantFact):
            past = self._grants.setdefault(leaf.name, [NEVER_GIVEN])
            self._in_turn(index, leaf, len(past) - 1)
            past[leaf.position + 1 :] = [past[leaf.position].tell(fact)]
            self.grants[leaf.name] = past[-1]
        elif isinstance(fact, DeploymentFact):
            self._in_turn(index, leaf, self._of_deployment)
            self._of_deployment = leaf.position + 1
            if isinstance(fact, Loaded):
                self.loaded.add(fact.generation)
                self.recorded_since = self.recorded_since or leaf.at
            self.losses += isinstance(fact, LossAcknowledged)
        else:
            self._of_call(index, leaf, fact)

    def _of_call(self, index: int, leaf: Leaf, fact: Fact) -> None:
        if isinstance(fact, Judged):
            self._mention(fact.generation, index, leaf)
        if self.again:
            if leaf.name in self.again:
                self._told_again(leaf, fact)
            return
        life = self.calls.setdefault(leaf.name, Life())
        if life is None:
            return
        if self._in_turn(index, leaf, life.facts):
            life.tell(fact, leaf.entry, self.grants)
        else:
            self.calls[leaf.name] = None

    def _in_turn(self, index: int, leaf: Leaf, told: int) -> bool:
        """False if it begins again at an earlier place. Raises Wrong if something is missing before it."""
        if leaf.position > told:
            raise Wrong(f"it is fact {leaf.position} of {leaf.name}, and fact {told} does not stand before it")
        if leaf.position < told:
            self.begins_again.setdefault(leaf.name, index)
        return leaf.position == told

    def _told_again(self, leaf: Leaf, fact: Fact) -> None:
        past = self._pasts.setdefault(leaf.name, [Life()])
        self._in_turn(0, leaf, len(past) - 1)
        life = copy.copy(past[leaf.position])
        life.tell(fact, leaf.entry, self.grants)
        past[leaf.position + 1 :] = [life]

    def _mention(self, generation: str, index: int, leaf: Leaf) -> None:
        known = self.generations.get(generation)
        if known is None:
            self.generations[generation] = Mention(index=index, name=leaf.name, first=leaf.at, last=leaf.at)
        else:
            known.last = max(known.last, leaf.at)
