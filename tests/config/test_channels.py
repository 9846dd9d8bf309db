"""Channels of a group: read as what they are, and refused where nobody would hear or could decide."""

import pytest
import yaml

from gateway.config.references import mail_mistakes, missing_secrets, missing_secrets_of_file
from gateway.control_errors import PATHS
from gateway.core.routes import WAYS, EmailChannel, SecretReference, Slack
from tests.config.routes_documents import AGENTS, document, expect, load, loaded
from tests.pages import blocks

SLACK = "{slack: {channel: C024BE91L, workspace: T024BE7LD, token: {env: TOKEN}, signing_secret: {env: SIGNING}}}"
HOOK = "{webhook: https://a.example/hook, secret: {env: HOOK}}"
PEOPLE = """\
people:
  lead: {email: lead@acme.example, roles: [approver], slack: U023BECGF}
  boss: {email: boss@acme.example, roles: [approver]}
  mute: {roles: [approver]}
  desk: {roles: [operator]}
"""
SECRETS = {"TOKEN": "xoxb-1", "SIGNING": "8f742231", "SHOP_KEY": "x", "HOOK": "whsec_" + "QUJD" * 10}


def group(*lines: str, members: str = "[lead, boss]", people: str = PEOPLE) -> str:
    text = "".join(f"    {line}\n" for line in (f"members: {members}", *lines))
    return document(people=people, approvals=f"approvals:\n  finance:\n{text}", agents=AGENTS)


def test_slack_and_email_are_read_beside_a_webhook(tmp_path):
    routes = loaded(group(f"notify: [{HOOK}, {SLACK}, {{email: members}}, {{email: [boss]}}]"), tmp_path)
    _, slack, everybody, one = routes.groups["finance"].channels
    assert slack == Slack(
        channel="C024BE91L", workspace="T024BE7LD", token=SecretReference("env", "TOKEN"),
        signing_secret=SecretReference("env", "SIGNING"),
    )  # fmt: skip
    assert everybody == EmailChannel(people=("lead", "boss")) and one == EmailChannel(people=("boss",))
    assert routes.people["lead"].slack == "U023BECGF" and routes.groups["finance"].decide_in == WAYS


def test_where_decisions_are_made_is_read(tmp_path):
    assert loaded(group(f"notify: [{SLACK}]", "decide_in: [page]"), tmp_path).groups["finance"].decide_in == ("page",)


@pytest.mark.parametrize(
    ("lines", "fragment"),
    [
        (["notify: [{email: [nobody]}]  # <-"], "there is no person `nobody` under `people`"),
        (["notify: [{email: [mute]}]  # <-"], "`mute` has no `email` under `people`, so would not hear of it"),
        (["notify: [{email: [boss, boss]}]  # <-"], "must not list `boss` twice"),
        (["notify: [{email: []}]  # <-"], "`email` must be members, or a list of people"),
        (["notify: [{email: all}]  # <-"], "`email` must be members, or a list of people"),
        (["notify: [{email: members, secret: {env: S}}]  # <-"], "must not have `secret`"),
        (
            [f"notify: [{{email: members, {SLACK[1:]}]  # <-"],
            "item 1 of `notify` must be exactly one of webhook, slack",
        ),
        ([f"notify: [{SLACK}, {SLACK}]  # <-"], "this channel is already listed; nobody needs to hear twice"),
        (["notify: [{email: members}, {email: [boss, lead]}]  # <-"], "this list of people is already listed"),
        ([f"notify: [{SLACK.replace('C024BE91L', 'finance')}]  # <-"], "`channel` must be an id of Slack such as C024"),
        ([f"notify: [{SLACK.replace('T024BE7LD', 'acme')}]  # <-"], "`workspace` must be an id of Slack such as T024"),
        ([f"notify: [{SLACK.replace('token: {env: TOKEN}, ', '')}]  # <-"], "`slack` needs `token`"),
        ([f"notify: [{HOOK}]", "decide_in: []  # <-"], "`decide_in` must not be empty"),
        ([f"notify: [{HOOK}]", "decide_in: [email]  # <-"], "must be page, slack, webhook or token"),
        ([f"notify: [{HOOK}]", "decide_in: [page, slack]  # <-"], "nobody could decide in `slack`: the group has not"),
        ([f"notify: [{HOOK}]", "decide_in: [webhook]  # <-"], "the group has not a webhook with a `callback_secret`"),
        (["quorum: 2", f"notify: [{SLACK}]", "decide_in: [slack]  # <-"], "but of the members lead has `slack`"),
    ],
)
def test_a_channel_through_which_nobody_would_hear_or_decide_is_refused(lines, fragment, tmp_path):
    expect(group(*lines), tmp_path, fragment)


@pytest.mark.parametrize(
    ("notify", "to", "lacks"),
    [
        (SLACK, "boss", "`boss` would not hear of this escalation; add `slack` under `people`"),
        ("{email: [lead]}", "mute", "add `email` under `people`"),
        (f"{SLACK}, {{email: [lead]}}", "mute", "add `slack` or `email` under `people`"),
        (SLACK, "lead", ""),
        ("{email: [lead]}", "boss", ""),
        (f"{SLACK}, {{email: [lead]}}", "boss", ""),
        (f"{SLACK}, {HOOK}", "mute", ""),
    ],
)
def test_whom_an_escalation_would_not_reach_is_told(notify, to, lacks, tmp_path):
    mark = "  # <-" if lacks else ""
    text = group(f"notify: [{notify}]", f"escalate: {{after: 1h, to: [{to}]}}{mark}", members="[lead, boss]")
    if lacks:
        expect(text, tmp_path, lacks)
    else:
        assert loaded(text, tmp_path).groups["finance"].escalations


def test_a_member_without_an_address_is_told_where_all_members_are_meant(tmp_path):
    expect(group("notify: [{email: members}]  # <-", members="[lead, mute]"), tmp_path, "`mute` has no `email`")


def test_a_user_of_slack_is_one_person(tmp_path):
    people = PEOPLE.replace("boss: {email: boss@acme.example, roles: [approver]}", "boss: {slack: U023BECGF}  # <-")
    text = group(f"notify: [{SLACK}]", members="[lead]", people=people)
    expect(text, tmp_path, "this user of Slack is already `lead`; one user is one person")
    people = PEOPLE.replace("slack: U023BECGF}", "slack: lead}  # <-")
    expect(group(f"notify: [{HOOK}]", people=people), tmp_path, "`slack` must be an id of Slack such as U023BECGF")


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [
        ("TOKEN", "", "the Slack token of group `finance` is missing: set the environment variable TOKEN"),
        ("SIGNING", "", "the Slack signing secret of group `finance` is missing"),
        ("TOKEN", "xoxp-1", "must be a bot's token, which begins with xoxb-"),
    ],
)
def test_slack_without_its_secrets_is_told_on_its_line(name, value, fragment, tmp_path):
    text, path = group(f"notify: [{SLACK}]"), tmp_path / "routes.yaml"
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "slack: {channel" in row)
    (found,) = missing_secrets(loaded(text, tmp_path), SECRETS | {name: value}, path)
    assert found.line == line and fragment in found.sentence
    load(text.replace("owner: lead", "owner: nobody"), tmp_path)
    (found,) = missing_secrets_of_file(path, SECRETS | {name: value})
    assert found.line == line and fragment in found.sentence


def test_email_without_a_mail_server_is_told_on_its_line(tmp_path):
    text = group(f"notify: [{HOOK}, {{email: members}}]")
    routes, path = loaded(text, tmp_path), tmp_path / "routes.yaml"
    (found,) = mail_mistakes(routes, ["GATEWAY_SMTP_URL", "GATEWAY_EMAIL_FROM"], path)
    assert found.line == next(n for n, row in enumerate(text.splitlines(), 1) if "email: members" in row)
    assert found.sentence == (
        "nobody would hear of group `finance` by e-mail: set GATEWAY_SMTP_URL and GATEWAY_EMAIL_FROM"
    )
    assert mail_mistakes(routes, [], path) == []
    assert mail_mistakes(loaded(group(f"notify: [{HOOK}]"), tmp_path), ["GATEWAY_SMTP_URL"], path) == []


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if block.page.name == "approvals.md"], ids=str)
def test_what_the_page_tells_to_write_is_right(block, tmp_path):
    """The manifest of the Slack app asks for what the gateway uses, and the routes load."""
    if "oauth_config" in block.text:
        manifest = yaml.safe_load(block.text)
        assert manifest["oauth_config"]["scopes"] == {"bot": ["chat:write"]}
        assert manifest["settings"]["interactivity"]["request_url"].endswith("/slack/interactions")
        assert "POST /slack/interactions" in PATHS
        return
    routes = loaded(f"version: 1\n{block.text}", tmp_path)
    assert routes.groups["finance"].channels
