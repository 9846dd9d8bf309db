"""Giving, listing and revoking standing grants.

A grant is given at a question: by somebody who may approve that call now, about what was shown, and it is a yes to
that call too. Its text is written and shown first, and giving it names what was shown, so nobody grants what they did
not read. Other calls that wait for the same are looked at again, since nobody needs to be asked about them any more.
Nothing here lets a call through: that is for `gateway.judging`, with the routes and policies of that moment.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from gateway.core import timeline
from gateway.core.admit import question_now
from gateway.core.approval import Decision, NotEligible, Stale, may_vote, question
from gateway.core.call import partition_of
from gateway.core.grants import (
    KEPT_MS,
    Grant,
    Granted,
    NotGrantable,
    Revoked,
    Terms,
    grant_id,
    is_grant_id,
    may_give,
    recall_grant,
    shape,
)
from gateway.core.record import Record
from gateway.core.routes import Person, Way
from gateway.core.times import span
from gateway.core.verdict import Requirement
from gateway.decisions import Decisions, NoSuchCall
from gateway.engine import Engine
from gateway.grant_ports import Grants
from gateway.judging import admission_of, judge
from gateway.life import Life
from gateway.ports import Conflict
from gateway.sending import drain
from gateway.tasks import spawn

LATE_SECONDS = 2.0
"""After this, no process asks people because it has not heard of a grant (`duties.GRANT_SECONDS`)."""
SHORTEST_MS = 60_000
"""A grant that ends sooner is over before anybody can use it: an `until` in the past, or in seconds."""


class NotShown(Exception):
    """What would be granted is not what was shown. Nothing was recorded."""


class NoSuchGrant(Exception):
    """There is none of that id, or it was over too long ago."""


class NotYours(Exception):
    """That person may not revoke this grant. Nothing was recorded."""

    def __init__(self, group: str) -> None:
        super().__init__(group)
        self.group = group


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to grant, before anything is checked."""

    call: str
    group: str
    fingerprint: str
    """What was shown of the call (`core.approval.shown`)."""
    by: str
    via: str
    way: Way
    terms: Terms

    @property
    def decision(self) -> Decision:
        return Decision(
            approve=True, by=self.by, group=self.group, fingerprint=self.fingerprint, via=self.via, way=self.way
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A grant that could be given, as it is shown before."""

    fact: Granted
    text: str
    covers: bool
    """It would have met its forbid for the call at which it is given."""


@dataclass(frozen=True, slots=True)
class Granting:
    engine: Engine
    decisions: Decisions
    grants: Grants
    unsettled: Callable[[], Awaitable[Sequence[str]]]
    """Ids of the calls that are not over."""
    key: bytes
    """The deployment's."""

    async def draft(self, wish: Wish) -> tuple[Draft, ...]:
        """The grants that would meet what `wish.group` is asked now, one for each forbid.

        Raises NoSuchCall, Stale, NotEligible or NotGrantable.
        """
        life = await self._held(wish)
        return tuple([await self._written(life, wish, each) for each in question(life.record, wish.group)])

    async def give(self, wish: Wish, confirmed: Sequence[str]) -> tuple[Grant, ...]:
        """Record the grants, and a yes to the call. `confirmed`: the ids of the drafts that the person was shown.

        Giving what one gave already changes nothing. Raises as `draft`, and NotShown or JournalUnavailable.
        """
        drafts = await self.draft(wish)
        if [draft.fact.grant for draft in drafts] != list(confirmed):
            raise NotShown
        given = tuple([await self._record(draft) for draft in drafts])
        await self.engine.standing.refresh(self.grants, self.engine.journal.now())
        try:
            reason = f"with {', '.join(grant.id for grant in given)}"
            await self.decisions.vote(wish.call, replace(wish.decision, reason=reason))
        except (Stale, NotEligible):
            pass  # it was decided meanwhile, or by this person before
        spawn(self._look_twice(drafts[0].fact.agent, drafts[0].fact.tool), "look at what is held, after a grant")
        return given

    async def revoke(self, grant: str, by: Person) -> Grant:
        """From the moment this returns, no claim relies on it anywhere. Raises NoSuchGrant or NotYours."""
        while True:
            known = await self.grants.read(grant) if is_grant_id(grant) else None
            if known is None:
                raise NoSuchGrant(grant)
            group = self.engine.generation().routes.groups.get(known.requirement.group)
            member = group is not None and by.name in group.members and "approver" in by.roles
            if not (member or "operator" in by.roles):
                raise NotYours(known.requirement.group)
            if known.revoked is not None:
                return known
            fact = Revoked(grant=grant, by=by.name, at=self.engine.journal.now())
            try:
                await self.grants.write(fact, expected=len(known.given), until=known.until, text="")
            except Conflict:
                continue
            await self.engine.standing.refresh(self.grants, self.engine.journal.now())
            return replace(known, revoked=fact, text="")

    async def listed(self) -> list[Grant]:
        """All that can be listed, the last one first."""
        index = await self.grants.index(since=self.engine.journal.now() - KEPT_MS)
        found = [grant for name in index if (grant := await self.grants.read(name)) is not None]
        return sorted(found, key=lambda grant: (grant.begun, grant.id), reverse=True)

    async def _look_twice(self, agent: str, tool: str) -> None:
        """The second time for what was held by a process that had not heard of the grant yet."""
        await self.look_again(agent, tool)
        await asyncio.sleep(LATE_SECONDS)
        await self.look_again(agent, tool)

    async def look_again(self, agent: str, tool: str) -> None:
        """Judge what waits for people again, and let go on what waits for nobody any more."""
        partition = f"{partition_of(agent):02d}"
        for call in await self.unsettled():
            if call.startswith(partition):
                life = await self.engine.load(call)
                if life is not None and _waits(life.record, agent, tool):
                    await self._judge(life)
                    if life.pending:
                        await self.engine.drive(life)
                    if life.reply is not None:
                        await self.engine.note(call, await drain(life.reply, life.salt))

    async def _held(self, wish: Wish) -> Life:
        """The call as today's policies see it. Raises NoSuchCall, Stale, NotEligible or NotGrantable."""
        life = await self.engine.load(wish.call)
        if life is None:
            raise NoSuchCall(wish.call)
        await self._judge(life)
        routes, now, terms = life.generation.routes, self.engine.journal.now(), wish.terms
        # That somebody approved this call before does not hinder a grant; that they may not, does.
        may_vote(life.record, replace(wish.decision, approve=False), routes, now=now)
        group = routes.groups[wish.group]
        if not may_give(life.record, group, wish.by, routes, at=now):
            raise NotEligible(f"only a member of {group.name!r} who decides in their own right gives standing grants")
        longest = round(group.standing_seconds * 1000)
        if not longest:
            raise NotGrantable(f"{group.name!r} gives no standing grants: it has no `standing` in routes.yaml")
        if not now + SHORTEST_MS <= terms.until <= now + longest:
            raise NotGrantable(f"`until` must be between a minute and {span(longest)} from now")
        return life

    async def _judge(self, life: Life) -> None:
        engine = self.engine
        if life.record.judged is not None and life.record.judged.verdict.decision == "hold":
            engine.judged(life, await judge(life, engine.journal, engine.suspended, engine.standing))

    async def _written(self, life: Life, wish: Wish, requirement: Requirement) -> Draft:
        admission = await admission_of(life, self.engine.journal)
        routes, granting = life.generation.routes, life.generation.granting
        now, call, terms = self.engine.journal.now(), admission.call, wish.terms
        asked = question_now(admission, now_ms=now, attempt=1)
        made = shape(routes.systems[call.system], admission.tool)
        unnamed = granting.text(asked, terms, policy=requirement.policy, grant="")
        said = [requirement.group, requirement.policy, requirement.text, made, str(terms.until), unnamed]
        fact = Granted(
            grant=grant_id(self.key, call.agent, said), agent=call.agent, tool=call.tool, shape=made,
            requirement=requirement, until=terms.until, by=wish.by, via=wish.via, call=call.id,
            fingerprint=wish.fingerprint, at=now,
        )  # fmt: skip
        text = granting.text(asked, terms, policy=requirement.policy, grant=fact.grant)
        grant = recall_grant([fact], text)
        assert grant is not None
        return Draft(fact=fact, text=text, covers=bool(granting.matching(asked, [grant])))

    async def _record(self, draft: Draft) -> Grant:
        fact = draft.fact
        while True:
            known = await self.grants.read(fact.grant)
            if known is not None and known.revoked is not None:
                raise NotGrantable(f"{fact.grant} was revoked by {known.revoked.by!r}; choose another `until`")
            if known is not None and fact.by in known.people:
                return known
            given = known.given if known is not None else ()
            try:
                await self.grants.write(fact, expected=len(given), until=fact.until, text=draft.text)
            except Conflict:
                continue
            grant = recall_grant([*given, fact], draft.text)
            assert grant is not None
            return grant


def _waits(record: Record, agent: str, tool: str) -> bool:
    return (record.call.agent, record.call.tool) == (agent, tool) and timeline.state(record) == "held"
