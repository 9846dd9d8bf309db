"""A folder of policies is loaded as a whole or not at all, and then every mistake is told with its place."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.mistakes import Mistake
from gateway.config.policies import load_policies
from gateway.config.routes_file import load_routes
from tests.config.cedar_routes import BALANCE, load, mistakes_in, routes

PERMIT = '@id("{}") permit (principal, action, resource);'
HOLD = """@id("refunds-over-50")
@approval("finance")
@reason("Refunds above 50.00 need a yes from finance.")
forbid (principal, action == Action::"stripe.create_refund", resource)
when { context.input.amount > 5000 };
"""


def test_a_policy_is_loaded_with_everything_that_it_says(tmp_path: Path):
    loaded = load(tmp_path, "// refunds\n" + HOLD + PERMIT.format("all") + '@id("s") @shadow ' + PERMIT[10:])
    hold, permit, shadow = loaded.policies
    assert (hold.id, hold.effect, hold.group) == ("refunds-over-50", "forbid", "finance")
    assert hold.reason == "Refunds above 50.00 need a yes from finance."
    assert (hold.file, hold.line) == (str(tmp_path / "all.cedar"), 2)
    assert hold.actions == frozenset({"stripe.create_refund"})
    assert hold.about.reads == frozenset({("input", "amount")})
    assert hold.text == HOLD.strip()
    assert (permit.effect, permit.actions, permit.group, permit.shadow) == ("permit", None, "", False)
    assert shadow.shadow


def test_groups_of_actions_are_written_out(tmp_path: Path):
    text = [f'@id("{n}") permit (principal, action {scope}, resource);' for n, scope in enumerate([
        'in Action::"read"', 'in Action::"stripe"', 'in [Action::"files", Action::"stripe.balance"]',
        '== Action::"files.upload"',
    ])]  # fmt: skip
    reads, stripe, both, one = (policy.actions for policy in load(tmp_path, "\n".join(text)).policies)
    assert reads == frozenset({"stripe.get_charge", "stripe.balance"})
    assert stripe == frozenset({"stripe.get_charge", "stripe.balance", "stripe.create_refund"})
    assert both == frozenset({"files.upload", "stripe.balance"})
    assert one == frozenset({"files.upload"})


def test_a_policy_without_a_reason_has_a_sentence_that_names_it(tmp_path: Path):
    text = PERMIT.format("p") + PERMIT.format("f").replace("permit", "forbid")
    text += '@id("h") @approval("legal") ' + PERMIT[10:].replace("permit", "forbid")
    assert [policy.reason for policy in load(tmp_path, text).policies] == [
        'Policy "p" permits this call.',
        'Policy "f" forbids this call.',
        'Policy "h" asks for an approval by "legal".',
    ]


def test_files_are_read_in_order_at_any_depth_but_not_hidden_ones(tmp_path: Path):
    """Kubernetes mounts a folder as links to a hidden one: each policy would come twice."""
    hidden = tmp_path / "..2026_11_20"
    for folder in (tmp_path / "b", tmp_path / "a" / "deep", hidden):
        folder.mkdir(parents=True)
    (tmp_path / "b" / "x.cedar").write_text(PERMIT.format("two"))
    (tmp_path / "a" / "deep" / "y.cedar").write_text(PERMIT.format("one"))
    (hidden / "z.cedar").write_text(PERMIT.format("three"))
    (tmp_path / "z.cedar").symlink_to(hidden / "z.cedar")
    (tmp_path / "notes.txt").write_text("not a policy")
    loaded, mistakes = load_policies(tmp_path, routes())
    assert not mistakes and loaded
    assert [policy.id for policy in loaded.policies] == ["one", "two", "three"]


def test_the_digest_names_the_policies_and_not_their_files(tmp_path: Path):
    one, two = PERMIT.format("one"), PERMIT.format("two")
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    together = load(tmp_path / "x", one + two)
    (tmp_path / "y" / "a.cedar").write_text("// moved\n" + two)
    apart = load(tmp_path / "y", one)
    assert together.digest == apart.digest
    assert {p.id: p.digest for p in together.policies} == {p.id: p.digest for p in apart.policies}
    assert load(tmp_path / "x", one).digest != together.digest
    assert load(tmp_path / "x", one + PERMIT.format("three")).digest != together.digest


def test_the_digest_covers_the_schema(tmp_path: Path):
    text = PERMIT.format("one")
    more = replace(BALANCE, name="stripe.more")
    assert load(tmp_path, text).digest != load(tmp_path, text, routes(more)).digest


def test_a_changed_sentence_is_another_policy_text(tmp_path: Path):
    """An approver said yes to what was read: the reason belongs to it."""
    (before,) = load(tmp_path, HOLD).policies
    (after,) = load(tmp_path, HOLD.replace("need a yes from", "are decided by")).policies
    assert before.digest != after.digest


def test_every_mistake_is_told_at_once_with_its_file_and_line(tmp_path: Path):
    (tmp_path / "a.cedar").write_text('@id("x")\npermit (principal, action, resource);\npermit (principal);\n')
    (tmp_path / "b.cedar").write_text(
        '@id("x") permit (principal, action, resource);\n'
        '@id("y") @aproval("finance")\nforbid (principal, action == Action::"stripe.create_refund", resource)\n'
        "when { context.input.amonut > 5 };"
    )
    (tmp_path / "c.cedar").write_bytes(b"// fine\n// \xff\n")
    loaded, mistakes = load_policies(tmp_path, routes())
    assert loaded is None
    assert mistakes == sorted(mistakes)
    places = [(Path(mistake.file).name, mistake.line) for mistake in mistakes]
    assert places == [("a.cedar", 3), ("b.cedar", 1), ("b.cedar", 2), ("b.cedar", 4), ("c.cedar", 2)]
    assert mistakes[1].sentence.startswith(f'@id("x") is already taken, by {tmp_path / "a.cedar"}:1')
    assert mistakes[4].sentence == "this is not UTF-8 text; save the file as UTF-8"


@pytest.mark.parametrize(
    ("annotations", "effect", "expected"),
    [
        ("", "permit", "this policy has no @id"),
        ("@id", "permit", "an @id must have 1 to 200 printable characters"),
        ('@id("a\\nb")', "permit", "an @id must have 1 to 200 printable characters"),
        (f'@id("{"a" * 201}")', "permit", "an @id must have 1 to 200 printable characters"),
        ('@id("a") @aproval("finance")', "forbid", "there is no annotation @aproval; did you mean @approval?"),
        ('@id("a") @owner("me")', "forbid", "there is no annotation @owner; there is @approval, @id, @reason, @shadow"),
        ('@id("a") @approval("finance")', "permit", "@approval is for forbids"),
        ('@id("a") @approval("finnance")', "forbid", "names no group under `approvals`; did you mean finance?"),
        ('@id("a") @approval', "forbid", "names no group under `approvals`"),
        ('@id("a") @reason', "forbid", "@reason needs a sentence"),
        ('@id("a") @shadow("off")', "forbid", "@shadow takes no value"),
    ],
)
def test_annotations_are_closed(tmp_path: Path, annotations, effect, expected):
    (found,) = mistakes_in(tmp_path, f"{annotations}\n{effect} (principal, action, resource);")
    assert expected in found


def test_a_template_is_a_mistake_because_nothing_links_it(tmp_path: Path):
    (found,) = mistakes_in(tmp_path, '@id("a")\npermit (\n  principal == ?principal, action, resource);')
    assert found.startswith("3: ") and "template" in found


@pytest.mark.parametrize("text", ["", "// later\n"])
def test_no_policy_at_all_is_a_mistake(tmp_path: Path, text):
    (found,) = mistakes_in(tmp_path, text)
    assert found == "0: there is no policy here, so nothing would be permitted; write a permit"


def test_an_empty_folder_a_missing_one_and_a_file_are_told_apart(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    (empty := tmp_path / "empty").mkdir()
    for place, expected in (
        (empty, "no policy here"),
        (tmp_path / "no", "does not exist"),
        (file, "is not a directory; give the directory that holds"),
    ):
        loaded, (mistake,) = load_policies(place, routes())
        assert loaded is None and expected in mistake.sentence and mistake.file == str(place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    (tmp_path / "a.cedar").write_text(PERMIT.format("a"))
    (tmp_path / "a.cedar").chmod(0)
    _, (mistake,) = load_policies(tmp_path, routes())
    assert mistake.sentence.startswith("the file cannot be read: ")


def test_a_folder_called_like_a_file_is_told(tmp_path: Path):
    (tmp_path / "a.cedar").mkdir()
    (tmp_path / "b.cedar").write_text(PERMIT.format("b"))
    _, (mistake,) = load_policies(tmp_path, routes())
    assert "not a regular file" in mistake.sentence


def test_a_forbid_in_a_linked_directory_counts(tmp_path: Path):
    (shared := tmp_path / "shared").mkdir()
    (shared / "freeze.cedar").write_text(PERMIT.format("freeze").replace("permit", "forbid"))
    (policies := tmp_path / "policies").mkdir()
    (policies / "common").symlink_to(shared)
    assert [policy.id for policy in load(policies, PERMIT.format("all")).policies] == ["all", "freeze"]


def test_a_linked_directory_that_is_not_there_stops_the_load(tmp_path: Path):
    """Its forbids would be missing."""
    (tmp_path / "all.cedar").write_text(PERMIT.format("all"))
    (tmp_path / "common").symlink_to(tmp_path.parent / "not-mounted")
    loaded, (mistake,) = load_policies(tmp_path, routes())
    assert loaded is None and mistake.file == str(tmp_path / "common")


def test_routes_that_cannot_be_a_schema_stop_the_load(tmp_path: Path):
    (tmp_path / "a.cedar").write_text(PERMIT.format("a"))
    _, mistakes = load_policies(tmp_path, routes(replace(BALANCE, name="stripe.odd", resource_type="Agent")))
    assert [type(mistake) for mistake in mistakes] == [Mistake]
    assert mistakes[0].file == "routes.yaml"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path):
    (tmp_path / "a.cedar").write_bytes(b"\xef\xbb\xbf" + PERMIT.format("a").encode())
    loaded, mistakes = load_policies(tmp_path, routes())
    assert loaded and not mistakes


@pytest.mark.parametrize("condition", ["(" * 5000 + "true" + ")" * 5000, " && ".join(["1 == 1"] * 5000)])
def test_a_policy_that_would_end_the_process_is_a_mistake(tmp_path: Path, condition):
    """Cedar's parser overflows the stack: without the check this test run ends here."""
    (found,) = mistakes_in(tmp_path, f'@id("a") permit (principal, action, resource) when {{ {condition} }};')
    assert "too long or too deeply nested" in found


def test_what_is_just_not_too_long_can_be_read(tmp_path: Path):
    condition = " && ".join(["context.call.attempt < 5"] * 249)
    load(tmp_path, f'@id("a") permit (principal, action, resource) when {{ {condition} }};')


def test_every_policy_in_the_guide_loads_with_the_routes_that_are_shipped(tmp_path: Path):
    root = Path(__file__).parents[2]
    environ = dict.fromkeys(("STRIPE_URL", "APPROVALS_URL"), "https://here.example")
    shipped, mistakes = load_routes(root / "routes.yaml", environ)
    assert shipped is not None, mistakes
    guide = (root / "docs" / "policies.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```cedar\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    assert len(load(tmp_path, "".join(blocks), shipped).policies) == 9
