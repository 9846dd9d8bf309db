"""What to write instead: cures for the slips that people make in Cedar most often, and Cedar's words made readable.

A hint is added to what Cedar says and never replaces its judgement: whether a text is a policy is not decided here.
Each function is given words of a policy and returns a clause that begins with `; `, or nothing.
"""

import re
from collections.abc import Sequence

WORDS = {"and": "&&", "or": "||", "AND": "&&", "OR": "||"}
"""Words of other languages, and Cedar's signs for them."""
INTERNAL = (
    (re.compile(r"Set<__cedar::internal::\w+>"), "Set"),
    (re.compile(r"__cedar::internal::AnyEntity"), "an entity"),
    (re.compile(r"__cedar::internal::OpenRecord(\{\})?"), "a record"),
    (re.compile(r"__cedar::internal::(\w+)"), r"\1"),
)
OF_ENTITY = re.compile(r"^attribute `([^`]+)` on entity type `([^`]+)` not found")
NEGATED = re.compile(r"!\s*([\w.]+)\s+has\s+(\w+|\"(?:[^\"\\]|\\.)*\")")
MISTAKEN_NEGATION = re.compile(r"^unexpected type: expected (Bool but saw \{|an entity, or a record but saw Bool)")
"""What Cedar says of `!context.input has x`: that a record is negated, and that a Bool is asked for an attribute."""


def readable(complaint: str) -> str:
    """Cedar's sentence without the names that Cedar has for itself alone."""
    for pattern, word in INTERNAL:
        complaint = pattern.sub(word, complaint)
    return complaint


def of_syntax(words: Sequence[str], at: int) -> str:
    """The cure for a text that Cedar does not read beyond `words[at]`."""
    word, *before = words[at::-1]
    last = before[0] if before else ""
    if word in WORDS:
        return f"; write {WORDS[word]}"
    if word == "=" and last not in ("=", "!", "<", ">") and words[at + 1 : at + 2] != ["="]:
        return "; write =="
    if last == "not":
        return "; write !(...)"
    if word == "'":
        return "; text stands in double quotes"
    if word.isdigit() and last == "." and len(before) > 1 and before[1].isdigit():
        return f'; write decimal("{before[1]}.{word}"), and compare by .lessThan(...) or .greaterThan(...)'
    if last in ("when", "unless"):
        return f"; conditions stand in braces: {last} {{ ... }}"
    if (word == "@" and last in (")", "}")) or (word == "(" and last in ("permit", "forbid")):
        return "; does the policy before it end with `;`?"
    return ""


def of_entity(complaint: str) -> str:
    """The cure for asking an agent or a resource for an attribute that it does not have (see schema.py)."""
    found = OF_ENTITY.match(complaint)
    if found is None:
        return ""
    if found[2] == "Agent":
        return '; an agent has only `owner`: write principal in Team::"...", or principal == Agent::"..."'
    return "; a resource has no attributes: what is known of the call is in context.input and context.call"


def negated(text: str) -> str:
    """What `!x has y` was to say; empty if there is no such thing in the text. `!` binds closer than `has`."""
    found = NEGATED.search(text)
    return f"!({found[1]} has {found[2]})" if found else ""
