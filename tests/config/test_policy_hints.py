"""What is said to people who write Cedar for the first time; that it is said on its line: test_policy_text.py."""

import re

import pytest

from gateway.config.policy_hints import negated, of_entity, of_syntax, readable
from gateway.config.schema import cedar_schema
from tests.config.cedar_routes import routes


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("a and", "; write &&"),
        ("a = b", ""),
        ("a =", "; write =="),
        ("a = =", ""),
        ("a ! =", ""),
        ("1 . 5", '; write decimal("1.5"), and compare by .lessThan(...) or .greaterThan(...)'),
        ("a . 5", ""),
        ("} @", "; does the policy before it end with `;`?"),
        (", @", ""),
        ("5", ""),
    ],
)
def test_a_hint_looks_at_the_words_before(words, hint):
    assert of_syntax(words.split(), len(words.split()) - 1) == hint


def test_a_sign_of_two_is_no_assignment():
    assert of_syntax(["a", "=", "=", "b"], 1) == ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("expected Set<__cedar::internal::Any> but", "expected Set but"),
        ("__cedar::internal::AnyEntity, or __cedar::internal::OpenRecord{} but", "an entity, or a record but"),
        ("expected __cedar::internal::Never but", "expected Never but"),
        ("expected Long but saw String", "expected Long but saw String"),
    ],
)  # fmt: skip
def test_names_of_cedars_own_are_words(said, shown):
    assert readable(said) == shown


def test_a_hint_about_entities_is_for_attributes_of_entities():
    assert 'principal in Team::"..."' in of_entity("attribute `team` on entity type `Agent` not found (for x.y)")
    assert "context.input" in of_entity("attribute `name` on entity type `Charge` not found")
    assert of_entity("attribute `input.x` not found") == ""


def test_the_attributes_that_the_hint_speaks_of_are_those_of_the_schema():
    schema = cedar_schema(routes())
    assert re.findall(r"^entity (\w+)[^;{]*\{(.*)\};", schema, re.MULTILINE) == [("Agent", " owner: String ")]
    assert "only `owner`" in of_entity("attribute `team` on entity type `Agent` not found")


def test_a_negation_is_found_and_put_right():
    assert negated('true && ! context.input has "a b" && x') == '!(context.input has "a b")'
    assert negated("!(context.input has a)") == negated("context.input has a") == ""
