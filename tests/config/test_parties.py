"""People, agents and groups; every group is manned for every agent."""

import pytest

from gateway.config.routes_file import unmanned
from gateway.core.quota import Quota
from gateway.core.routes import Agent, Group, Person, Routes, SecretReference, Webhook
from tests.config.routes_documents import AGENTS, APPROVALS, PEOPLE, A, B, C, document, expect, loaded

HOOK = "{webhook: https://a.example/hook, secret: {env: HOOK}}"


def people(*lines: str) -> str:
    return document(people=PEOPLE + "".join(f"  {line}\n" for line in lines))


def group(*lines: str, **parts: str) -> str:
    text = "approvals:\n  finance:\n" + "".join(f"    {line}\n" for line in lines)
    return document(approvals=text, **parts)


def test_everybody_reaches_the_routes(tmp_path):
    token = f'zoe: {{email: z@a.example, roles: [auditor], tokens: [{{sha256: {B.upper()}}}, {{sha256: "{C}"}}]}}'
    routes = loaded(people(token), tmp_path)
    assert routes.people["zoe"] == Person(name="zoe", email="z@a.example", roles=frozenset({"auditor"}), tokens=(B, C))
    assert routes.agents["bot"] == Agent(name="bot", owner="desk", teams=("ops",), keys=(A,))
    assert routes.groups["finance"] == Group(
        name="finance",
        members=("lead", "boss"),
        channels=(
            Webhook(
                url="https://approvals.acme.example/hook",
                secret=SecretReference("env", "HOOK"),
                callback_secret=SecretReference("env", "CALLBACK"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("zoe: {email: nowhere}", "`email` must be an address such as name@example.com"),
        ("zoe: {roles: [aprover]}", "did you mean `approver`?"),
        ("zoe: {roles: [admin]}", "item 1 of `roles` must be approver, operator or auditor"),
        ("zoe: {roles: approver}", "`roles` must be a list"),
        ("zoe: {roles: [auditor, auditor]}", "must not list `auditor` twice"),
        ("zoe: {tokens: [secret]}", "item 1 of `tokens` must be a mapping such as {sha256: ...}"),
        ("zoe: {tokens: [{sha256: abc}]}", "`sha256` must be a SHA-256 as 64 hexadecimal digits"),
        ("zoe: {tokens: [{sha256: 123}]}", "`sha256` must be text, not a number; put it in quotes"),
        ("zoe: {mail: a@b.example}", "person `zoe` has no field `mail`; did you mean `email`?"),
        ("zoe: {away: {until: 2026-12-01}}", "delegate"),
        ("zoe: zoe@a.example", "person `zoe` must be a mapping such as"),
        ("zoe:", "`zoe` has no value"),
        ("'zoe smith': {}", "person `zoe smith` needs another name"),
        ("lead: {}", "`lead` is already defined on line 3"),
    ],
)
def test_a_person_that_cannot_be_is_refused(line, fragment, tmp_path):
    expect(people(f"{line}  # <-"), tmp_path, fragment)


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("b2: {}", "agent `b2` needs `owner`"),
        ("b2: {owner: nobody}", "there is no person `nobody` under `people`"),
        ("b2: {owner: desc}", "did you mean `desk`?"),
        ("b2: {owner: desk, teams: [1]}", "item 1 of `teams` must be text, not a number; put it in quotes"),
        ("b2: {owner: desk, teams: [a, a]}", "must not list `a` twice"),
        ("b2: {owner: desk, questions: 20}", "`questions` must be how many in a minute, an hour or a day"),
        ("b2: {owner: desk, questions: 0/h}", "`questions` must be how many in a minute, an hour or a day"),
        ("b2: {owner: desk, storage: 1000}", "`storage` must be a size: a whole number and a unit, such as 64MiB"),
        ("b2: {owner: desk, keys: [{}]}", "item 1 of `keys` needs `sha256`"),
        ("b2: {owner: desk, key: x}", "agent `b2` has no field `key`; did you mean `keys`?"),
        ("b2: {owner: desk, budget: 5}", "this version does not perform `budget` yet; remove it"),
    ],
)
def test_an_agent_that_cannot_be_is_refused(line, fragment, tmp_path):
    expect(document(agents=f"{AGENTS}  {line}  # <-\n"), tmp_path, fragment)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("b2: {owner: desk}", Quota(100, 3600.0)),
        ("b2: {owner: desk, questions: 20/d}", Quota(20, 86400.0)),
        ("b2: {owner: desk, questions: off}", None),
    ],
)
def test_an_agent_may_ask_people_so_often(line, expected, tmp_path):
    assert loaded(document(agents=f"{AGENTS}  {line}\n"), tmp_path).agents["b2"].questions == expected


@pytest.mark.parametrize(
    ("more", "expected"), [("", 2**30), (", storage: 200MiB", 200 * 2**20), (", storage: off", None)]
)
def test_so_much_is_kept_for_an_agent(more, expected, tmp_path):
    routes = loaded(document(agents=f"{AGENTS}  b2: {{owner: desk{more}}}\n"), tmp_path)
    assert routes.agents["b2"].storage == expected


@pytest.mark.parametrize(("text", "seconds"), [("8h", 8 * 3600.0), ("30d", 30 * 86400.0), ("5m", 300.0)])
def test_a_group_may_allow_standing_grants(text, seconds, tmp_path):
    head = "members: [lead, boss]", f"notify: [{HOOK}]"
    assert loaded(group(*head), tmp_path).groups["finance"].standing_seconds == 0
    allowing = loaded(group(*head, f"standing: {{longest: {text}}}"), tmp_path)
    assert allowing.groups["finance"].standing_seconds == seconds


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("standing: 8h", "`standing` must be a mapping such as {longest: 8h}"),
        ("standing: {}", "`standing` needs `longest`"),
        ("standing: {longest: 0s}", "`longest` must be longer than zero"),
        ("standing: {longest: 31d}", "`longest` must be at most 30d: what is to hold for longer belongs into a policy"),
        ("standing: {longest: 8}", "`longest` must be a duration"),
        ("standing: {shortest: 8h}", "`standing` has no field `shortest`"),
    ],
)
def test_standing_grants_that_cannot_be_are_refused(line, fragment, tmp_path):
    expect(group("members: [lead, boss]", f"notify: [{HOOK}]", f"{line}  # <-"), tmp_path, fragment)


@pytest.mark.parametrize("key", [A, A.upper()])
def test_a_key_belongs_to_one_caller(key, tmp_path):
    text = document(agents=f"{AGENTS}  b2: {{owner: desk, keys: [{{sha256: {key}}}]}}  # <-\n")
    expect(text, tmp_path, "this key is already that of agent `bot`")
    text = document(agents=AGENTS.replace(f'"{A}"', f"{B}}}, {{sha256: {B}").replace("]}", "]}  # <-"))
    expect(text, tmp_path, "this key is already that of agent `bot`")
    text = document(people=f"{PEOPLE}  zoe: {{tokens: [{{sha256: {key}}}]}}\n", agents=AGENTS.replace("]}", "]}  # <-"))
    expect(text, tmp_path, "this key is already that of person `zoe`")


@pytest.mark.parametrize(
    ("lines", "fragment"),
    [
        (["members: []  # <-", f"notify: [{HOOK}]"], "`members` must not be empty"),
        (["members: [leed, boss]  # <-", f"notify: [{HOOK}]"], "did you mean `lead`?"),
        (["members: [lead, lead]  # <-", f"notify: [{HOOK}]"], "must not list `lead` twice"),
        (
            ["members: [desk, lead]  # <-", f"notify: [{HOOK}]"],
            "`desk` is a member of `finance` but has no role approver",
        ),
        (
            ["members: [lead]", "quorum: 2  # <-", f"notify: [{HOOK}]"],
            "`quorum` is 2, but `finance` has only 1 to vote",
        ),
        (["members: [lead]", "quorum: 0  # <-", f"notify: [{HOOK}]"], "`quorum` must be at least 1"),
        (["members: [lead]", "quorum: 1.0  # <-", f"notify: [{HOOK}]"], "`quorum` must be a whole number"),
        (
            ["members: [lead]", "quorum: true  # <-", f"notify: [{HOOK}]"],
            "`quorum` must be a whole number, not true or",
        ),
        (
            ["members: [lead]", "notify:", "  - webhook: https://a.example/hook  # <-"],
            "item 1 of `notify` needs `secret`",
        ),
        (["members: [lead]", "notify: [{secret: {env: S}}]  # <-"], "item 1 of `notify` must be exactly one of"),
        (
            ["members: [lead]", "notify: [{slack: '#finance'}]  # <-"],
            "`slack` must be a mapping such as {channel: C024BE91L",
        ),
        (
            ["members: [lead]", "notify: [{email: a@b.example}]  # <-"],
            "`email` must be members, or a list of people such as [controller, cfo]",
        ),
        (["members: [lead]", f"notify: [{HOOK}, {HOOK}]  # <-"], "this webhook is already listed"),
        (["members: [lead]", f"notify: {HOOK}  # <-"], "`notify` must be a list"),
        (["members: [lead]", "notify: [{webhook: {env: NONE}, secret: {env: S}}]  # <-"], "environment variable NONE"),
        (
            ["members: [lead]", "notify: [{webhook: 'http://169.254.169.254/', secret: {env: S}}]  # <-"],
            "cloud-metadata",
        ),
        (["members: [lead]", "expire: 0s  # <-", f"notify: [{HOOK}]"], "`expire` must be longer than zero"),
        (["members: [lead]", "expire: 1 day  # <-", f"notify: [{HOOK}]"], "`expire` must be a duration"),
        (["members: [lead]", "trusted: on  # <-", f"notify: [{HOOK}]"], "`trusted` must be true or false, not `on`"),
        (["members: [lead]", "batch: 5  # <-", f"notify: [{HOOK}]"], "`batch` must be how many in a minute, an hour"),
    ],
)
def test_a_group_that_cannot_be_is_refused(lines, fragment, tmp_path):
    expect(group(*lines), tmp_path, fragment)


@pytest.mark.parametrize("notify", ["", "    notify: []\n"])
def test_a_group_of_which_nobody_would_hear_stops_the_start(notify, tmp_path):
    text = document(approvals=f"approvals:\n  finance:  # <-\n    members: [lead]\n{notify}")
    expect(text, tmp_path, "group `finance` has no `notify`: nobody would hear of it; add a webhook")


def test_one_secret_proves_no_quorum_unless_its_system_is_trusted(tmp_path):
    lines = ["members: [lead, boss]", "quorum: 2", f"notify: [{HOOK[:-1]}, callback_secret: {{env: C}}}}]"]
    expect(group(*lines[:2], f"{lines[2]}  # <-"), tmp_path, "so a quorum of 2 proves nothing; say `trusted: true`")
    assert loaded(group(*lines, "trusted: true"), tmp_path).groups["finance"].trusted
    assert loaded(group(*lines[:2], f"notify: [{HOOK}]"), tmp_path).groups["finance"].quorum == 2
    assert loaded(group(lines[0], lines[2]), tmp_path).groups["finance"].quorum == 1


def test_a_group_is_unmanned_for_an_agent_whose_owner_is_its_only_member(tmp_path):
    agents = AGENTS.replace("owner: desk", "owner: lead")
    text = group("members: [lead]", f"notify: [{HOOK}]", agents=agents).replace("  finance:", "  finance:  # <-")
    expect(text, tmp_path, "group `finance` is unmanned for agent `bot`: nobody may vote (its owner `lead` may not)")


def test_a_group_is_unmanned_where_too_few_remain_for_the_quorum(tmp_path):
    agents = AGENTS.replace("owner: desk", "owner: lead") + "  free: {owner: desk}\n"
    text = group("members: [lead, boss]", "quorum: 2", f"notify: [{HOOK}]", agents=agents)
    expect(text.replace("  finance:", "  finance:  # <-"), tmp_path, "for agent `bot`: only boss may vote")


def test_unmanned_says_the_same_of_any_routes():
    hook = Webhook(url="https://a.example/", secret=SecretReference("env", "S"))
    agents = {"bot": Agent(name="bot", owner="lead"), "free": Agent(name="free", owner="desk")}
    good = Group(name="good", members=("lead", "boss"), channels=(hook,))
    alone = Group(name="alone", members=("lead",), channels=(hook,))
    silent = Group(name="silent", members=("boss",))
    assert unmanned(Routes(agents=agents, groups={"good": good})) == []
    found = unmanned(Routes(agents=agents, groups={"good": good, "alone": alone, "silent": silent}))
    assert len(found) == 2
    assert "`alone` is unmanned for agent `bot`" in found[0] and "`silent` has no `notify`" in found[1]


def test_a_person_with_a_mistake_is_still_known_to_those_who_name_it(tmp_path):
    text = document(
        people=PEOPLE.replace("lead@acme.example", "x").replace("roles: [approver]}", "roles: [approver]}  # <-")
    )
    expect(text, tmp_path, "`email` must be")


def test_approvals_may_be_left_out(tmp_path):
    assert loaded(document(approvals=""), tmp_path).groups == {}
    assert APPROVALS
