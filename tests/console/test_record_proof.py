"""What the page of one call says of its proof: sealed or not, here or elsewhere, verified, and when it is wrong."""

import asyncio
import re
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response

from gateway import errors
from gateway.adapters.redis.lately import SealedUpTo
from gateway.audit.receipts import checked
from gateway.console.feed import Feed
from gateway.console.finding import Finding
from gateway.console.other_facts import says
from gateway.console.record import RecordPages
from gateway.console.sealed import SealedLog
from gateway.console.sessions import Session
from gateway.core.deployment import AgentReadmitted, Erased, LossAcknowledged
from gateway.core.facts import Recorded
from gateway.core.routes import Person
from gateway.ledger.files import LogFiles
from gateway.ledger.note import Signer
from gateway.page import receipt_from
from tests.company import ROUTES
from tests.console.page_client import words
from tests.console.test_finding import Journalled
from tests.sealed_lives import ALLOW, ANSWER, CLAIM, GRANT, LIVES, START, call, id_of, leaves_of_life, sealed
from tests.sealed_log import SIGNER, entry, write_log

SESSION = Session(Person(name="auditor", roles=frozenset({"auditor"})), "s", "c", 0)
NAME = "approved"


class Journal(Journalled):
    """That knows some of LIVES."""

    known: dict[str, list] = {}  # noqa: RUF012 - set by each test
    now_ms = 1_795_170_000_000

    async def facts(self, call):
        return list(self.known.get(call, []))

    def now(self):
        return self.now_ms


@pytest.fixture
def ledger(tmp_path):
    return sealed(tmp_path)


def told(ledger, name):
    """The facts of a life as the log has them."""
    found = asyncio.run(SealedLog(ledger, SIGNER.verifier).of(id_of(name)))
    assert found is not None
    return list(found.facts)


def pages(ledger, known, signer=SIGNER, up_to=None):
    journal = Journal()
    journal.known, journal.up_to = known, up_to or {}
    log = SealedLog(ledger, signer.verifier) if ledger else None
    receipt = receipt_from(log) if log else None
    return RecordPages(Finding(journal, journal, log), Feed(journal, journal), journal, lambda: ROUTES, log, receipt)


def get(made, path):
    def for_people(shows):
        async def endpoint(request):
            try:
                return await shows(request, SESSION)
            except errors.GatewayError as error:
                return Response(error.detail, error.status)

        return endpoint

    async def ask():
        transport = httpx.ASGITransport(app=Starlette(routes=made.routes(for_people)))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.get(path)

    return asyncio.run(ask())


def said(made, path):
    found = get(made, path)
    assert found.status_code == 200, found.text
    return words(found.text)


PATH = f"/record/{id_of(NAME)}"


def test_every_fact_has_its_leaf_and_the_proof_is_one_click_away(ledger):
    made = pages(ledger, {id_of(NAME): told(ledger, NAME)})
    text = get(made, PATH).text
    leaves = re.findall(r"leaf (\d+) <code>([0-9a-f]{64})</code>", text)
    log = LogFiles.open(ledger, id_of(NAME)[:2])
    assert len(leaves) == len(LIVES[NAME]) and "not sealed yet" not in text
    assert [log.hash_of(0, int(index)).hex() for index, _ in leaves] == [found for _, found in leaves]
    assert f"All {len(LIVES[NAME])} facts are in the sealed log" in words(text)
    assert 'href="?verify#proof"' in text and "Verified now" not in text


def test_verifying_says_what_was_proven_and_that_it_is_the_servers_word(ledger):
    made = pages(ledger, {id_of(NAME): told(ledger, NAME)})
    shown = said(made, f"{PATH}?verify")
    log = LogFiles.open(ledger, id_of(NAME)[:2])
    for part in (
        f"Verified now: all {len(LIVES[NAME])} sealed facts are in the log, unchanged and in their place",
        log.tree().root.hex(), f"{SIGNER.name}/{id_of(NAME)[:2]}", "This is the server's own word.",
        "gateway audit verify-receipt", str(SIGNER.verifier), "with a key that you were given before",
    ):  # fmt: skip
        assert part in shown, part


def test_one_fact_is_told_as_one(tmp_path):
    made = pages(sealed(tmp_path, [LIVES[NAME][:1]], ()), {})
    assert "Its one fact is in the sealed log" in said(made, PATH)
    shown = said(made, f"{PATH}?verify")
    assert "Verified now: the one sealed fact is in the log, unchanged and in its place" in shown and "1 fact " in shown


def test_what_cannot_be_proven_is_said_loudly_and_what_to_do(ledger):
    made = pages(ledger, {id_of(NAME): told(ledger, NAME)}, Signer.new(SIGNER.name))
    text = get(made, f"{PATH}?verify").text
    assert "Verified now" not in text and 'class="said bad" role="alert">The checkpoint is not signed' in text
    assert "keep the ledger's directory as it is" in words(text)


def test_a_call_that_the_journal_has_forgotten_is_told_from_the_log(ledger):
    shown = said(pages(ledger, {}), PATH)
    assert "billing-bot asked for it" in shown and "All 8 facts are in the sealed log" in shown


def test_what_is_not_sealed_yet_is_told_and_marked(ledger):
    more = replace(LIVES["approved"][3], at=told(ledger, "held")[-1].at + 1)
    made = pages(ledger, {id_of("held"): [*told(ledger, "held"), more]})
    text = get(made, f"/record/{id_of('held')}").text
    assert "3 of 4 facts are sealed" in words(text) and len(re.findall(r">not sealed yet", text)) == 1


def test_a_journal_that_says_otherwise_than_the_log_is_not_believed(ledger):
    facts = told(ledger, NAME)
    facts[3] = replace(facts[3], by="mallory")
    shown = said(pages(ledger, {id_of(NAME): facts}), PATH)
    assert "Fact 4 is not the same in the journal and in the sealed log. The log is right." in shown
    assert "ann approved for finance" in shown and "mallory" not in shown


def test_a_log_that_cannot_be_read_is_said_and_the_journal_is_shown(ledger):
    facts = told(ledger, NAME)
    for bundle in (ledger / id_of(NAME)[:2] / "tile" / "entries").rglob("*.p/*"):
        bundle.write_bytes(b"\0\1")
    shown = said(pages(ledger, {id_of(NAME): facts}), PATH)
    assert "The sealed log cannot be read here:" in shown and "ann approved for finance" in shown


@pytest.mark.parametrize("here", [True, False])
def test_what_is_sealed_on_another_host_is_said_and_the_journal_is_shown(ledger, tmp_path, here):
    facts = told(ledger, NAME)
    up_to = {id_of(NAME)[:2]: SealedUpTo(99, "1795168899999-0")}
    made = pages(tmp_path / "empty" if here else None, {id_of(NAME): facts}, up_to=up_to)
    shown = said(made, PATH)
    assert "What is sealed of it is on host-a in /data/ledger: open this page there for the proof." in shown
    assert "ann approved for finance" in shown and "not sealed yet" not in shown and "Verify now" not in shown
    gone = get(made, f"/record/{id_of(NAME)[:2]}{'f' * 20}")
    assert gone.status_code == 404


def test_what_is_not_there_leads_to_the_search_and_sends_nobody_to_the_inbox(ledger):
    made = pages(ledger, {})
    for path, typed in (("/record/zzzz", "zzzz"), ("/record/a%26b=c/receipt", "a&b=c")):
        found = get(made, path)
        assert found.status_code == 404 and f"No call in the record has the id '{typed}'." in words(found.text)
        assert f'href="/record?call={quote(typed)}"' in found.text and "/inbox" not in found.text
        assert "GET /calls" not in found.text and "older" not in found.text
    found = get(made, "/record/grant/abc")
    assert found.status_code == 404 and 'href="/record"' in found.text and "a month" not in found.text


def test_a_copy_that_was_erased_is_not_promised(tmp_path):
    copy = Recorded(part="input", how="full", digest="d" * 64, size=7, keep=86_400_000)
    name = call(1).call.id
    ledger = tmp_path / "ledger"
    write_log(ledger, name[:2], leaves_of_life(call(1), copy, ALLOW, CLAIM, ANSWER))
    made = pages(ledger, {})
    assert "digest " + "d" * 64 + ", until " in said(made, f"/record/{name}")
    erased = Erased(by="dpo", reason="she asked", calls=(name,), at=START + 99_000)
    write_log(ledger, "64", entry(99_000, "deployment", 0, [erased]))
    shown = said(made, f"/record/{name}")
    assert 'at the word of dpo: "she asked" (log 64, leaf 0)' in shown and ", until " not in shown


def test_nothing_sealed_and_nothing_to_prove(ledger, tmp_path):
    made = pages(tmp_path / "empty", {id_of(NAME): told(ledger, NAME)})
    shown = said(made, f"{PATH}?verify")
    assert "Nothing of it is in the sealed log of this host yet." in shown and "Verify now" not in shown
    assert get(pages(None, {}), PATH).status_code == 404


def test_a_search_finds_what_is_sealed(ledger):
    shown = get(pages(ledger, {}), "/record?person=ann&outcome=answered").text
    found = re.findall(r'href="/record/(\w+)" data-row', shown)
    assert sorted(found) == sorted([id_of("approved"), id_of("edited")])
    assert "not sealed yet" not in shown and "over-50" in shown


# --- the receipt --------------------------------------------------------------------------------------------------


def test_the_receipt_proves_the_call_to_somebody_who_has_nothing_else(ledger):
    found = get(pages(ledger, {}), f"{PATH}/receipt")
    assert found.status_code == 200 and found.headers["content-type"] == "application/json"
    assert found.headers["content-disposition"] == f'attachment; filename="{id_of(NAME)}.receipt.json"'
    assert found.headers["cache-control"] == "no-store"
    receipt, verifier = checked(found.content, SIGNER.verifier)
    assert receipt.problems == () and receipt.facts == tuple(told(ledger, NAME)) and verifier == SIGNER.verifier
    assert b"checked" in found.content
    changed, _ = checked(found.content.replace(b"checked", b"Checked", 1), SIGNER.verifier)
    assert changed.problems
    stranger, _ = checked(found.content, Signer.new(SIGNER.name).verifier)
    assert stranger.problems


def test_there_is_no_receipt_of_what_is_not_proven(ledger):
    found = get(pages(ledger, {}, Signer.new(SIGNER.name)), f"{PATH}/receipt")
    assert found.status_code == 409 and "No receipt is written, because this is not proven" in words(found.text)


@pytest.mark.parametrize("name", ["07" + "f" * 20, id_of(NAME)[:12], "x\r\ny", "..", "a" * 65])
def test_there_is_no_receipt_of_what_is_not_there(ledger, name):
    found = get(pages(ledger, {}), f"/record/{quote(name)}/receipt")
    assert found.status_code == 404 and "content-disposition" not in found.headers
    assert get(pages(None, {}), f"{PATH}/receipt").status_code == 404


def test_a_receipt_is_of_what_is_named_whole(tmp_path):
    made = pages(sealed(tmp_path, [LIVES[NAME]]), {})
    assert get(made, f"{PATH}/receipt").status_code == 200
    assert get(made, f"/record/{id_of(NAME)[:-1]}/receipt").status_code == 404


# --- facts about no call ------------------------------------------------------------------------------------------


def test_a_grant_is_told_proven_and_leaves_as_a_receipt(ledger):
    made = pages(ledger, {})
    shown = said(made, f"/record/grant/{GRANT}?verify")
    for part in (
        "ann let billing-bot use stripe.create_refund until", "olga revoked it", "Verified now: all 2 sealed facts",
    ):  # fmt: skip
        assert part in shown, part
    receipt, _ = checked(get(made, f"/record/{GRANT}/receipt").content, SIGNER.verifier)
    assert receipt.problems == () and receipt.is_grant
    for other in (f"grant-59{'0' * 22}", "nonsense"):
        assert get(made, f"/record/grant/{other}").status_code == 404


def test_the_deployment_has_a_page_of_its_own(ledger, tmp_path):
    made = pages(ledger, {})
    shown = said(made, "/record/deployment?verify")
    for part in ("olga suspended night-bot", "generation 111111111111 may serve", "Verified now: all 3 sealed facts",
                 "gateway audit verify --key"):  # fmt: skip
        assert part in shown, part
    assert shown.index("olga suspended") < shown.index("generation 2222") < shown.index("generation 1111")
    assert "Nothing that is sealed here." in said(pages(tmp_path / "empty", {}), "/record/deployment")
    for bundle in (ledger / "64" / "tile" / "entries").rglob("*.p/*"):
        bundle.write_bytes(b"\0\1")
    assert "The sealed log cannot be read here:" in said(made, "/record/deployment")


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        (AgentReadmitted(agent="bot", by="olga"), "olga readmitted bot"),
        (LossAcknowledged(by="olga", loss="two facts"), "olga acknowledged a loss: two facts"),
        (Erased(by="olga", reason="asked to", calls=("a", "b")), 'olga had the payloads of 2 calls erased: "asked to"'),
    ],
)
def test_what_people_did_to_the_deployment_is_said(fact, line):
    assert says(fact) == line
