"""Where a policy stands, and what counts as a change of it."""

import pytest
from cedarpy import policies_to_json_str

from gateway.config.policy_text import DEEPEST, LONGEST, statements, stopped_at, too_deep

SOURCE = """// a comment; with "a quote
@id("a;b") // another
permit (principal, action, resource);

@id("b \\" ; // not a comment")
forbid (
    principal, action, resource
) when { context.input.amount > 5 }; // the end
// nothing follows
"""


def read(source):
    return list(statements("f.cedar", source))


def test_a_file_is_cut_where_policies_end_and_nowhere_else():
    first, second = read(SOURCE)
    assert (first.line, second.line) == (2, 5)
    assert first.text.startswith("@id")
    assert second.text.endswith("};")
    for statement in (first, second):
        policies_to_json_str(statement.text)


def test_what_follows_the_last_semicolon_is_not_lost():
    *_, last = read(SOURCE + "\n\npermit (principal")
    assert (last.line, last.text) == (12, "permit (principal")


@pytest.mark.parametrize("source", ["", "  \n", "// only words;\n", "\n//\n"])
def test_a_file_without_a_policy_has_no_statement(source):
    assert read(source) == []


def test_layout_and_comments_do_not_change_the_digest():
    (one,) = read('@id("a") permit(principal,action,resource) when { context.call.attempt<5 };')
    (two,) = read('@id("a") // why\npermit (\n  principal, action, resource\n)\nwhen { context.call.attempt < 5 };')
    assert one.digest == two.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [("< 5", "< 6"), ("< 5", "<= 5"), ("permit", "forbid"), ('"a b"', '"a  b"'), ('"a b"', '"A b"'), ("@id", "@ix")],
)
def test_every_other_change_changes_the_digest(old, new):
    text = '@id("a b") permit (principal, action, resource) when { context.call.attempt < 5 };'
    (before,), (after,) = read(text), read(text.replace(old, new))
    assert before.digest != after.digest


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('@id("a")\npermit (principal, action, resource)\nwhen {\n  context.x >\n};', 5),
        ('@id("a")\npermit (\n  principal,,\n  action, resource);', 3),
        ('permit (principal, action, resource)\n@id("b")\npermit (principal, action, resource);', 2),
        ("permit (principal, action, resource)\nwhen { true\n", 2),
        ("permit (principal, action, resource)\nwhen {\n  foo(1) };", 3),
        ('permit (principal, action, resource)\nwhen {\n  "open };', 3),
    ],
)
def test_a_syntax_error_is_found_on_its_line(source, line):
    (statement,) = read(source)
    with pytest.raises(ValueError) as refused:
        policies_to_json_str(statement.text)
    assert stopped_at(statement, str(refused.value))[0] == line


@pytest.mark.parametrize(
    ("source", "line", "hint"),
    [
        ('@id("a") permit (principal, action, resource)\n\n@id("b")\npermit (principal, action, resource);', 3,
         "does the policy before it end with `;`?"),
        ("permit (principal, action, resource)\npermit (principal, action, resource);", 2,
         "does the policy before it end with `;`?"),
        ('permit (principal, action == Action::"x.y", resource)\nwhen context.input.amount > 5;', 2,
         "conditions stand in braces: when { ... }"),
        ("permit (principal, action, resource)\nunless true;", 2, "conditions stand in braces: unless { ... }"),
        ("permit (principal, action, resource) when {\n  context.input.to == 'acme' };", 2,
         "text stands in double quotes"),
        ("permit (principal, action, resource) when {\n  context.input.rate > 1.5 };", 2, 'write decimal("1.5")'),
        ("permit (principal, action, resource) when {\n  1 < 2 and 2 < 3 };", 2, "write &&"),
        ("permit (principal, action, resource) when {\n  1 < 2 or 2 < 3 };", 2, "write ||"),
        ("permit (principal, action, resource) when {\n  not 1 < 2 };", 2, "write !(...)"),
        ("permit (principal, action, resource) when { 1 == 1 &&\n  2 <= 3 && 4 = 4 };", 2, "write =="),
        ("permit (principal,,\n action, resource);", 1, ""),
    ],
)  # fmt: skip
def test_the_commonest_slips_are_told_with_their_cure(source, line, hint):
    (statement,) = read(source)
    with pytest.raises(ValueError) as refused:
        policies_to_json_str(statement.text)
    assert stopped_at(statement, str(refused.value))[0] == line
    said = stopped_at(statement, str(refused.value))[1]
    assert said.partition("; ")[2].startswith(hint) and bool(hint) == ("; " in said)


def test_a_condition_is_added_behind_the_others_even_behind_a_comment():
    (statement,) = read("permit (principal, action, resource) // a note\n when { 1 == 1 } // said so\n ;")
    assert policies_to_json_str(statement.with_condition("2 == 2")).count('"kind":"when"') == 2


@pytest.mark.parametrize(
    "condition",
    ["(" * (DEEPEST + 1) + "true" + ")" * (DEEPEST + 1), " && ".join(["true"] * LONGEST), "!" * 600 + "true",
     "context" + ".a" * 5000, "if true then true else " * 600 + "true"],
)  # fmt: skip
def test_what_could_end_the_process_is_never_shown_to_cedar(condition):
    (statement,) = read(f"permit (principal, action, resource) when {{ {condition} }};")
    assert too_deep(statement)


def test_a_long_list_of_values_is_not_deep():
    values = ", ".join(f'"ch_{number}"' for number in range(5000))
    (statement,) = read(f"permit (principal, action, resource) when {{ [{values}].contains(context.input.charge) }};")
    assert not too_deep(statement)
