"""Values that may come from the environment, and values with a form of their own."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.config.field_types import Address, Digest, ResolvedText, Switch, Version


def sentence(kind: Any, value: object, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value, strict=True, context=environ)
    return str(caught.value.errors()[0]["msg"])


def test_text_stands_as_it_is_and_env_is_looked_up():
    kind = TypeAdapter(ResolvedText)
    assert kind.validate_python("a.crt", context={}) == "a.crt"
    assert kind.validate_python({"env": "CERT"}, context={"CERT": "b.crt"}) == "b.crt"


@pytest.mark.parametrize("value", [{"env": "A", "b": 1}, {}, {"env": 1}, {"env": "a-b"}, {"file": "x"}, ["a"], 5, True])
def test_anything_else_says_what_it_may_be(value):
    assert "must be text, or {env: NAME}" in sentence(ResolvedText, value)


def test_a_variable_that_is_not_set_is_named_and_an_empty_one_is_not_set():
    assert "environment variable PORT, which is not set" in sentence(Address, {"env": "PORT"}, {})
    assert "environment variable PORT, which is not set" in sentence(Address, {"env": "PORT"}, {"PORT": ""})


def test_what_the_environment_says_is_checked_like_text():
    assert "must be host:port" in sentence(Address, {"env": "PORT"}, {"PORT": "80"})


def test_a_digest_has_one_spelling():
    assert TypeAdapter(Digest).validate_python("AB" * 32) == "ab" * 32
    assert "64 hexadecimal digits" in sentence(Digest, "ab" * 31)


@pytest.mark.parametrize("value", ["yes", 1, 0, None, [], "OFF"])
def test_a_switch_is_on_or_off(value):
    assert "must be on or off" in sentence(Switch, value)


@pytest.mark.parametrize("value", [True, 1.0, "1", 2, 0])
def test_a_version_is_the_number_one(value):
    assert "must be 1" in sentence(Version, value)
