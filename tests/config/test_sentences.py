"""Errors of models as sentences: nearest names, items counted from one, kinds instead of values."""

import pytest

from gateway.config import models
from gateway.config.sentences import kind, label, model_at, nearest


def test_the_nearest_name_or_all_of_them():
    assert nearest("timout", ["timeout", "owner"]) == "did you mean `timeout`?"
    assert nearest("xyz", ["b", "a"]) == "known here: a, b"
    assert nearest("xyz", []) == "nothing is known here"


def test_items_are_counted_from_one():
    assert label((), "agent `bot`") == "agent `bot`"
    assert label(("roles", 0), "x") == "item 1 of `roles`"
    assert label(("notify", 1, "secret"), "x") == "`secret`"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true or false"),
        (1, "a number"),
        (1.5, "a number"),
        ("s", "text"),
        ([], "a list"),
        ({}, "a mapping"),
        (None, "empty"),
    ],
)
def test_a_value_is_described_and_not_repeated(value, expected):
    assert kind(value) == expected


def test_the_model_of_a_place_is_found_through_lists_and_optional_fields():
    assert model_at(models.SystemModel, ("credential", "basic", "password")) is models.SecretModel
    assert model_at(models.GroupModel, ("notify", 3, "callback_secret")) is models.SecretModel
    assert model_at(models.GroupModel, ("notify", 0)) is models.NotifyModel
    assert model_at(models.ToolModel, ("hold",)) is models.HoldModel
    assert model_at(models.ToolModel, ("nothing", "here")) is None
    assert model_at(models.ToolModel, ("input", "a")) is None
    assert model_at(models.ToolModel, ()) is models.ToolModel
