"""What those who decide on a held call have been shown of the system, and whether it is still so.

A yes may be bound to what was shown: then the system is looked at again in the very append that claims, each time that
the call is sent. What changed is another question; what cannot be seen is not sent, and stays held for the same people
until it can be. Of a call that may have been sent already, what changed may be its own effect: then it stays in doubt.
"""

from dataclasses import dataclass, replace

from gateway.core.facts import Asked, Judged, Previewed

BACKOFF_MS = (5_000, 30_000, 120_000, 600_000)
"""Between looks at what a yes is bound to while it cannot be seen; the last one repeats until the hold is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    wanted: tuple[str, ...] = ()
    """Previews that those who were asked are to be shown."""
    pictures: tuple[Previewed, ...] = ()
    """What they are shown, one by name."""
    confirmed: frozenset[str] = frozenset()
    """Bound ones that are still as they were shown. Good only in the append that uses it, as an allow is."""
    unread: tuple[int, ...] = ()
    """When bound ones could not be looked at again, since the votes sufficed."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """What nobody has looked at yet."""
        seen = {item.name for item in self.pictures}
        return tuple(name for name in self.wanted if name not in seen)

    def unconfirmed(self, judged: Judged) -> tuple[str, ...]:
        """What a yes is bound to and must be looked at again now; nothing if the allow needs no yes."""
        bound = {item.name for item in self.pictures if item.bound and item.fingerprint == judged.fingerprint}
        return tuple(sorted(bound - self.confirmed)) if judged.verdict.requirements else ()

    @property
    def retry_at(self) -> int:
        """When to look again at what could not be seen."""
        return self.unread[-1] + BACKOFF_MS[min(len(self.unread), len(BACKOFF_MS)) - 1]

    def after_asking(self, fact: Asked, *, same: bool) -> "Sight":
        """`same`: it is asked about the same request, so what was shown of the system is what is shown."""
        return Sight(wanted=fact.previews, pictures=self.pictures if same else ())

    def after_judging(self, judged: Judged) -> "Sight":
        """A hold takes more votes, so there is nothing to confirm yet."""
        return self if judged.verdict.decision == "allow" else self.unused()

    def unused(self) -> "Sight":
        if not self.confirmed and not self.unread:
            return self
        return replace(self, confirmed=frozenset(), unread=())

    def without_confirmation(self) -> "Sight":
        """For somebody who did not write it."""
        return replace(self, confirmed=frozenset()) if self.confirmed else self

    def after_looking(self, fact: Previewed) -> "Sight":
        if fact.again and not fact.changed:
            if fact.failed:
                return replace(self, confirmed=frozenset(), unread=(*self.unread, fact.at))
            return replace(self, confirmed=self.confirmed | {fact.name})
        others = (item for item in self.pictures if item.name != fact.name)
        return replace(self, pictures=(*others, fact), confirmed=frozenset(), unread=())


BLIND = Sight()


def still_held(judged: Judged | None) -> Judged | None:
    """An allow that could not be confirmed is a hold that lacks nobody."""
    if judged is None or judged.verdict.decision != "allow":
        return judged
    return replace(judged, verdict=replace(judged.verdict, decision="hold"))
