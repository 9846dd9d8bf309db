"""Puts the page on which people decide together, for the process that serves the control plane."""

from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.history import RedisHistory
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.short_lived import RedisShortLived
from gateway.console.inbox import Inbox
from gateway.console.live import Live
from gateway.console.pages import Console
from gateway.console.past import Past
from gateway.console.sessions import Sessions
from gateway.console.signing_in import SigningIn
from gateway.decisions import Decisions


def console(
    decisions: Decisions, journal: RedisJournal, held: HeldCalls, ledger: RedisLedger, control_url: str
) -> Console:
    """The page, on this journal. Nothing is connected before somebody looks."""
    kept = RedisShortLived(journal)
    return Console(
        decisions=decisions,
        inbox=Inbox(held, journal, decisions.engine),
        past=Past(RedisHistory(journal), journal),
        looking=kept,
        live=Live(ledger),
        signing_in=SigningIn(Sessions(kept), control_url),
    )
