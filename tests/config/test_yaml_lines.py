"""YAML is read less liberally than it could be, and every value knows its line."""

import pytest

from gateway.config.yaml_lines import DEEPEST, Node, Place, read


def plain(text: str) -> object:
    node, mistakes = read(text, "f")
    assert mistakes == []
    assert node is not None
    return node.plain()


def mistakes(text: str) -> list[str]:
    return [f"{found.line}: {found.sentence}" for found in read(text, "f")[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("off", "on", "yes", "no", "Off", "NO", "y", "n")),
        *((word, word) for word in ("2026-12-01", "12:30:45", "190:20", "1e3", "1_000", "010", "0x1f", "0o17", ".inf")),
        *((word, word) for word in ("1.", ".5", "1.5e3", "9" * 64, "0" * 64, "=", "+", "-1-")),
        ("'12'", "12"),
        ('"true"', "true"),
        ("true", True),
        ("FALSE", False),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.50", 1.5),
        ("-0.25", -0.25),
    ],
)
def test_only_true_false_and_plain_decimal_numbers_are_not_text(text, value):
    found = plain(f"key: {text}")
    assert found == {"key": value} and type(found["key"]) is type(value)


@pytest.mark.parametrize("key", ["on", "off", "yes", "no", "y", "2026-12-01"])
def test_keys_that_yaml_1_1_reads_as_something_else_are_text(key):
    assert plain(f"{key}: x") == {key: "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "3: `a` is already defined on line 1; keep one of the two"),
        ("x: {a: 1,\n  a: 2}", "2: `a` is already defined on line 1; keep one of the two"),
        ("1: a", "1: a key must be text, and `1` is not; put it in quotes"),
        ("true: a", "1: a key must be text, and `true` is not; put it in quotes"),
        ("null: a", "1: a key must be text, and `null` is not; put it in quotes"),
        ("? [a]\n: b", "1: a key must be text, and a list or mapping is not; put it in quotes"),
        ("a: 1\n<<: {b: 2}", "2: merge keys (`<<`) are not used here; write the fields out"),
        ("a: !!python/object:os.system x", "1: the tag `!!python/object:os.system` is not used here"),
        ("a: !!str 5", "1: the tag `!!str` is not used here"),
        ("a: !mine {b: 1}", "1: the tag `!mine` is not used here"),
        ("a: ! x", "1: the tag `!` is not used here"),
        ("%YAML 1.1\n---\na: 1", "YAML directives are not used here"),
        ("a: 1\n---\nb: 1", "2: a second document begins here"),
        ("a: 1\n--- ", "2: a second document begins here"),
        ("a:\nb: 1", "1: `a` has no value"),
        ("a: ~", "1: `a` has no value"),
        ("a: null", "1: `a` has no value"),
        ("a: [1,\n  null]", "2: this item of a list has no value"),
        ("a: 1\nb: x-${HOME}", "2: `${...}` is not replaced by anything"),
        ('a: "${A}"', "1: `${...}` is not replaced by anything"),
        ("${A}: 1", "1: `${...}` is not replaced by anything"),
        ("a: &x 1\nb: *y", "2: there is no `&y` before `*y`"),
        ("a: &x [1,\n  *x]", "2: `*x` stands inside its own value"),
        ("a: 1\n\tb: 2", "2: this is not valid YAML: indent with spaces, a tab is not allowed"),
        ("a: b: c", "1: this is not valid YAML: mapping values are not allowed in this context (put a value"),
        (
            "read_any: {request: GET /{path...}, effect: read}",
            """(inside {...}, a request that contains { goes in quotes: request: "GET /{path...}")""",
        ),
        ("a: [1, 2", "this is not valid YAML: "),
        ("a: 'x", "1: this is not valid YAML: "),
        ("a: 1\nb: \x01", "2: the control character 0x01 is not allowed; remove it"),
        ("a: {b: 1}}", "1: this is not valid YAML: "),
    ],
)
def test_what_could_be_read_in_two_ways_is_one_mistake_on_its_line(text, expected):
    found = mistakes(text)
    assert len(found) == 1 and expected in found[0], found


def test_a_repeated_key_keeps_neither_silently_and_the_rest_is_still_read():
    node, found = read("a: 1\na: 2\nb: 3\nb: 4\n", "f")
    assert len(found) == 2 and node is not None and node.plain() == {"a": 1, "b": 3}


def test_aliases_are_values_like_any_other():
    assert plain("a: &x {b: [1]}\nc: *x\nd: [*x, *x]") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}] * 2}


def test_an_alias_bomb_is_refused_without_being_expanded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    found = mistakes("\n".join(lines))
    assert len(found) == 1 and "aliases make this more than" in found[0]


@pytest.mark.parametrize("text", ["[" * 50_000, "a: " + "{b: " * 50_000, "- " * 50_000])
def test_deep_nesting_is_one_sentence_and_never_a_recursion(text):
    found = mistakes(text)
    assert len(found) == 1 and "nested more than" in found[0]


def test_depth_that_aliases_pile_up_is_refused_too():
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, DEEPEST + 5))]
    found = mistakes("\n".join(lines))
    assert len(found) == 1 and "nested more than" in found[0]


def test_every_key_and_item_knows_its_line():
    node, _ = read("a:\n  b:\n    - x\n    - c: 1\n      d: 2\n", "f")
    assert node is not None

    def line(*path: str | int) -> int:
        return node.find(path, Place("f", 0)).line

    assert [line("a"), line("a", "b"), line("a", "b", 0), line("a", "b", 1, "d")] == [1, 2, 3, 5]
    assert line("a", "b", 1, "missing") == 4, "what is missing is missed where its parent stands"
    assert line("missing") == 0 and line() == 0
    assert line("a", "b", 7) == 2


def test_windows_line_ends_and_byte_counts_do_not_move_lines():
    node, _ = read("a: ü\r\nb: 1\r\n", "f")
    assert node is not None and node.find(("b",), Place("f", 0)).line == 2


def test_an_empty_text_has_no_node():
    assert read("# nothing\n", "f") == (None, [])
    assert isinstance(read("x", "f")[0], Node)
