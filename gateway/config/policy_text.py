"""The text of policies: which policy stands on which line, and what it says whatever its layout.

Cedar's own errors carry no line. So each file is cut into its policies here, each is parsed alone, and a place is
found by asking Cedar how far it gets. Cedar stays the only judge of what a policy is: a piece that it does not read
as exactly one policy stops the load. Nothing here may decide what a policy means.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cedarpy import policies_to_json_str

from gateway.config.policy_hints import of_syntax

TOKEN = re.compile(r'(?P<comment>//[^\n\r]*)|"(?:[^"\\]|\\.)*"|\w+|[^\s\w]', re.DOTALL)
TOO_SHORT = "unexpected end of input"
"""What Cedar says of text that is right as far as it goes."""
DEEPEST = 100
"""Brackets within brackets. At some hundreds Cedar's parser overflows the stack, which ends the process."""
LONGEST = 500
"""Signs and words that join conditions, `&&` counting as two: each nests the tree by one. Python's own limit is 1,000
levels of it, and at some thousands Cedar too ends the process."""
DOTS = 3_000
JOINING = frozenset({"&", "|", "+", "-", "*", "!", "if", "when", "unless", "has", "in", "like", "is"})
SIGNS = frozenset({"::", "==", "!=", "<=", ">=", "&&", "||"})
"""Two tokens here, one to Cedar: no text that is right so far ends within one."""
UNEXPECTED = re.compile(r"unexpected token `(.+)`|'(=)' is not a valid operator")
NAMED = re.compile(r"`([^`]+)`|\"([^\"]+)\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What stands between two semicolons of a file, without the comments before and after it."""

    file: str
    line: int
    """Of its first word, 1-based."""
    text: str
    """As written, with its semicolon if it has one."""
    tokens: tuple[tuple[int, int], ...]
    """Where in the text each word, string and sign begins and ends."""

    @property
    def digest(self) -> str:
        """SHA-256, hex, over its words alone: layout and comments do not count, every other change does."""
        return hashlib.sha256("\n".join(self.text[start:end] for start, end in self.tokens).encode()).hexdigest()

    def line_at(self, offset: int) -> int:
        return self.line + self.text.count("\n", 0, offset)

    def line_naming(self, sentence: str, otherwise: int = 0) -> int:
        """The line of what an error of Cedar names, in backticks or quotes; `otherwise`, or its first line, if nothing
        is found."""
        for found in NAMED.finditer(sentence):
            whole = found[1] or found[2]
            for name in (whole, *reversed(re.findall(r"\w[\w-]*", whole))):
                for start, end in self.tokens:
                    if self.text[start:end].strip('"') == name:
                        return self.line_at(start)
        return otherwise or self.line

    def conditions(self) -> list[tuple[int, str]]:
        """The line of each `when` and `unless`, and the policy as it would be if it ended with that condition."""
        starts, depth = [], 0
        for start, end in self.tokens:
            word = self.text[start:end]
            depth += (word in {"(", "[", "{"}) - (word in {")", "]", "}"})
            if not depth and word in {"when", "unless"}:
                starts.append(start)
        ends = [*starts[1:], self.tokens[-1][0] if self.text.endswith(";") else len(self.text)]
        return [(self.line_at(start), f"{self.text[:end]};") for start, end in zip(starts, ends, strict=False)]

    def with_condition(self, condition: str) -> str:
        """The same policy under one more condition, which Cedar looks at last."""
        end = self.tokens[-1][0] if self.text.endswith(";") else self.tokens[-1][1]
        return f"{self.text[:end]} when {{ {condition} }};"


def statements(file: str, source: str) -> Iterator[Statement]:
    """Every policy of a file, in order; what follows the last semicolon, if anything, comes last."""
    tokens: list[re.Match[str]] = []
    line, counted = 1, 0
    for token in TOKEN.finditer(source):
        if token["comment"] is None:
            tokens.append(token)
        if token[0] == ";":
            line, counted = line + source.count("\n", counted, tokens[0].start()), tokens[0].start()
            yield _statement(file, line, source, tokens)
            tokens = []
    if tokens:
        yield _statement(file, line + source.count("\n", counted, tokens[0].start()), source, tokens)


def _statement(file: str, line: int, source: str, tokens: list[re.Match[str]]) -> Statement:
    begin, end = tokens[0].start(), tokens[-1].end()
    places = tuple((token.start() - begin, token.end() - begin) for token in tokens)
    return Statement(file=file, line=line, text=source[begin:end], tokens=places)


def too_deep(statement: Statement) -> bool:
    """True if the statement must not even be shown to Cedar: it could end this process."""
    depth = deepest = joining = dots = 0
    for start, end in statement.tokens:
        word = statement.text[start:end]
        depth += (word in {"(", "[", "{"}) - (word in {")", "]", "}"})
        deepest = max(deepest, depth)
        joining += word in JOINING
        dots += word == "."
    return deepest > DEEPEST or joining > LONGEST or dots > DOTS


def stopped_at(statement: Statement, complaint: str) -> tuple[int, str]:
    """The line at which Cedar, which does not read this statement, stops reading; and what is wrong there."""
    if complaint == TOO_SHORT:
        end = statement.tokens[-1][0]
        return statement.line_at(end), "it ends too early: is a bracket or the final semicolon missing?"
    text = statement.text
    ends = [number for number, (_, end) in enumerate(statement.tokens) if text[end - 1 : end + 1] not in SIGNS]
    low, high = 0, len(ends) - 1  # the first token with which Cedar no longer asks for more
    while low < high:
        middle = (low + high) // 2
        if _complaint(text[: statement.tokens[ends[middle]][1]]) == TOO_SHORT:
            low = middle + 1
        else:
            high = middle
    words = [text[start:end] for start, end in statement.tokens]
    if low == len(ends) - 1:  # the grammar is right, a word is not
        named = UNEXPECTED.match(complaint)
        for at, word in enumerate(words):
            if named and word == (named[1] or named[2]) and (hint := of_syntax(words, at)):
                return statement.line_at(statement.tokens[at][0]), complaint + hint
        return statement.line_naming(complaint), complaint
    return statement.line_at(statement.tokens[ends[low]][0]), complaint + of_syntax(words, ends[low])


def _complaint(text: str) -> str | None:
    try:
        policies_to_json_str(text)
    except ValueError as error:
        return str(error)
    return None
