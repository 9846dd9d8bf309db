"""One reading of routes.yaml: named definitions with their places, and every mistake found so far.

Each definition is validated by itself, so that a mistake in one never hides a mistake in another. Validation returns
None for a definition that is wrong; whoever asked goes on with the rest, and the caller of it all sees the mistakes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from gateway.config.mistakes import Mistake
from gateway.config.models import Strict
from gateway.config.sentences import instead, mistakes_of
from gateway.config.yaml_lines import Node, Path, Place

Model = TypeVar("Model", bound=Strict)

PART_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""Systems and tools: part of addresses, and of `system.tool`, so without dots."""
PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}")
"""People, agents, groups: an e-mail address will do."""

NAME_FORMS = {
    PART_NAME: "letters, digits, - and _, beginning with a letter, at most 64",
    PARTY_NAME: "letters, digits and - _ . @ +, beginning with a letter or digit, at most 128",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """`name:` and what stands under it."""

    name: str
    title: str
    """How sentences call it: "agent `billing-bot`"."""
    place: Place
    node: Node

    def at(self, *path: str | int) -> Place:
        return self.node.find(path, self.place)


@dataclass(slots=True)
class Reading:
    environ: Mapping[str, str]
    mistakes: list[Mistake] = field(default_factory=list)

    def note(self, place: Place, sentence: str) -> None:
        self.mistakes.append(place.mistake(sentence))

    def definitions(self, section: Node | None, what: str, form: re.Pattern[str]) -> Iterator[Definition]:
        """What a mapping of names defines; names that cannot be names are noted and left out."""
        if section is None or not isinstance(section.value, dict):
            return
        for name, node in section.value.items():
            definition = Definition(name, f"{what} `{name}`", section.keys[name], node)
            if form.fullmatch(name):
                yield definition
            else:
                self.note(definition.place, f"{definition.title} needs another name: {NAME_FORMS[form]}")

    def validated(self, model: type[Model], definition: Definition) -> Model | None:
        """The definition as `model`, or None after noting everything that is wrong with it."""
        plain = definition.node.plain()
        if plain is None:
            return None  # noted when it was read
        if not isinstance(plain, dict):
            self.note(definition.place, instead(definition.title, model.expected, plain))
            return None
        try:
            return model.model_validate(plain, context=self.environ)
        except ValidationError as error:
            self.mistakes += mistakes_of(error, model, definition.node, definition.place, definition.title)
            return None

    def findings(self, definition: Definition, found: Iterator[tuple[Path, str]]) -> bool:
        """Note what rules found about a definition. True if they found nothing."""
        before = len(self.mistakes)
        for path, sentence in found:
            self.note(definition.at(*path), sentence)
        return len(self.mistakes) == before
