"""Puts the page on which people decide together, for the process that serves the control plane."""

import logging
import ssl
from collections.abc import Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import certifi
import httpx
import orjson

from gateway.adapters.oidc import OidcProvider
from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.history import RedisHistory
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.lately import RedisLately
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.short_lived import RedisShortLived
from gateway.audit.finding import find
from gateway.audit.receipts import receipt
from gateway.console.by_provider import ByProvider
from gateway.console.feed import Feed
from gateway.console.finding import Finding
from gateway.console.inbox import Inbox
from gateway.console.live import Live
from gateway.console.numbers import NumberPages
from gateway.console.pages import Console
from gateway.console.past import Past
from gateway.console.record import RecordPages, Unproven
from gateway.console.sealed import SealedLog
from gateway.console.sessions import Sessions
from gateway.console.signing_in import SigningIn
from gateway.console.standing import GrantPages
from gateway.core.ledger_settings import LedgerSettings
from gateway.core.secret_reference import SecretReference
from gateway.granting import Granting
from gateway.ledger.evidence import NotThere
from gateway.ledger.place import Place, Unusable
from gateway.ports import SecretMissing
from gateway.settings import Settings

PROVIDER_SECONDS = 10.0
"""For one answer of the identity provider: a person is waiting."""

log = logging.getLogger("gateway")


def console(
    settings: Settings, granting: Granting, journal: RedisJournal, held: HeldCalls, ledger: RedisLedger,
    control_url: str, report: Callable[[int], Awaitable[dict[str, Any]]], sealed: SealedLog | None,
) -> Console:  # fmt: skip
    """The page, on this journal. Nothing is connected before somebody looks."""
    kept = RedisShortLived(journal)
    signing_in = SigningIn(
        Sessions(kept), control_url, provider=bool(settings.oidc_issuer), trusted_proxies=settings.trusted_proxies
    )
    return Console(
        decisions=granting.decisions,
        inbox=Inbox(held, journal, granting.engine),
        past=Past(RedisHistory(journal), journal),
        looking=kept,
        live=Live(ledger),
        signing_in=signing_in,
        by_provider=ByProvider(_provider(settings), signing_in) if settings.oidc_issuer else None,
        grants=GrantPages(granting, control_url),
        numbers=NumberPages(report),
        record=_record(journal, granting, sealed),
    )


def sealed_log(ledger: LedgerSettings, data: Path, secret: Callable[[SecretReference], str]) -> SealedLog | None:
    """The sealed log of this host; None if there is no key to prove it with."""
    place = Place.of(ledger, data)
    try:
        return SealedLog(place.directory, place.signer(secret(ledger.key) if ledger.key else "").verifier)
    except (Unusable, SecretMissing) as error:
        log.warning("the page of the record shows no proofs: %s", error)
        return None


def receipt_from(log: SealedLog) -> Callable[[str], bytes]:
    """What `gateway audit receipt` writes, for a call or grant that is named whole."""

    def written(name: str) -> bytes:
        found = find(log.ledger, name, log.verifier)
        if found.evidence.name != name:
            raise NotThere(f"There is no {name!r}.")
        if found.problems:
            raise Unproven(found.problems[0])
        return orjson.dumps(receipt(found, log.verifier), option=orjson.OPT_INDENT_2) + b"\n"

    return written


def _record(journal: RedisJournal, granting: Granting, sealed: SealedLog | None) -> RecordPages:
    lately = RedisLately(journal)
    return RecordPages(
        log=sealed,
        receipt=receipt_from(sealed) if sealed else None,
        finding=Finding(lately, journal, sealed),
        feed=Feed(lately, journal),
        journal=journal,
        routes_of_today=lambda: granting.engine.generation().routes,
    )


def _provider(settings: Settings) -> OidcProvider:
    context = ssl.create_default_context(cafile=certifi.where())
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    # No cookie is kept: what the provider sets for one person must not be sent for the next.
    jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    client = httpx.AsyncClient(verify=context, trust_env=False, timeout=PROVIDER_SECONDS, cookies=jar)

    def secret() -> str:
        file = settings.oidc_client_secret_file
        return file.read_text().strip() if file is not None else settings.oidc_client_secret

    return OidcProvider(settings.oidc_issuer, settings.oidc_client_id, secret, client)
