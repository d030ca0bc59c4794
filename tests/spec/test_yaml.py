"""YAML 1.2 with positions: what scalars mean, what is refused, where characters stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.base.errors import Finding
from pointsman.spec import yaml as spec_yaml
from pointsman.spec.node import Node
from pointsman.spec.place import File
from pointsman.spec.positions import locate
from pointsman.spec.yaml import parse


def read(text: str) -> Any:
    """The data of a text that has nothing wrong."""
    root, findings = parse(File("f.yaml", text))
    assert findings == []
    assert isinstance(root, Node)
    return root.plain()


def wrong(text: str) -> list[Finding]:
    """What is wrong with a text."""
    return parse(File("f.yaml", text))[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2025-10-09", "2025-10-09"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("-12", -12),
        ("+1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ("=", "="),
        ("'true'", "true"),
        ('"12"', "12"),
        ("9" * 30, int("9" * 30)),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """A plain scalar means what the core schema of YAML 1.2 says, and not what older YAML did."""
    found = read(f"x: {text}")["x"]

    assert found == value
    assert type(found) is type(value)


def test_a_key_given_twice_is_refused_at_the_second() -> None:
    """Both places of a repeated key are told."""
    (found,) = wrong("a: 1\nb: 2\na: 3\n")

    assert (found.code, found.line, found.column) == ("E104", 3, 1)
    assert "line 1" in found.hint


def test_an_alias_is_its_anchor() -> None:
    """An alias stands for the value of its anchor."""
    assert read("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_exponential_aliases_are_refused() -> None:
    """Aliases of aliases that stand for billions of values take no time and no memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    assert [found.code for found in wrong("\n".join(lines))] == ["E107"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 20_000, "- " * 20_000 + "x"])
def test_deep_nesting_is_refused(text: str) -> None:
    """Nesting of any depth ends in one finding and not in an exhausted stack."""
    assert [found.code for found in wrong(text)] == ["E107"]


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is looked at before anything is parsed."""
    monkeypatch.setattr(spec_yaml, "MOST_CHARACTERS", 10)

    assert [found.code for found in wrong("pipeline: payments")] == ["E107"]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\n---\nb: 2\n", "E109", 2, 1),
        ("a: !!str 1\n", "E105", 1, 4),
        ("a: *b\n", "E106", 1, 4),
        ("a: &b [*b]\n", "E106", 1, 8),
        ("? [a]\n: b\n", "E110", 1, 3),
        ("<<: {a: 1}\n", "E110", 1, 1),
        ("a: \x01\n", "E102", 1, 4),
        ("a: 1\n\tb: 2\n", "E102", 2, 1),
        ("a: '\n", "E102", 1, 4),
        ('a: "\\q"\n', "E102", 1, 5),
        ("a: [1, 2\nb: 3\n", "E102", 1, 4),
        ("a: b\n  c: d\n", "E102", 2, 4),
        ("a: b\nc\r\n", "E102", 2, 1),
    ],
)
def test_what_yaml_refuses_is_told_where_it_stands(text: str, code: str, line: int, column: int) -> None:
    """Each way to be wrong as YAML gives one finding at its place."""
    (found,) = wrong(text)

    assert (found.code, found.line, found.column) == (code, line, column)
    assert found.hint or code == "E106"


def test_reading_goes_on_behind_a_value_that_needs_quotes() -> None:
    """A value that YAML misreads is taken as it was meant, and the rest is read."""
    root, findings = parse(File("f.yaml", 'a: x ? "y" : "z"\nb: 1\n'))

    assert [found.code for found in findings] == ["E103"]
    assert root is not None
    assert root.plain() == {"a": 'x ? "y" : "z"', "b": 1}


CODE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="﻿\u2028\u2029\x85")
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | CODE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CODE, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(CODE, DATA, min_size=1, max_size=4))
def test_json_reads_as_itself(data: dict[str, Any]) -> None:
    """JSON is YAML: any JSON object reads as what it is."""
    assert read(json.dumps(data, ensure_ascii=False)) == data


WORDS = st.lists(
    st.sampled_from(["amount", "&&", '"a b"', "'c'", "é", "日本", "> 5", "(x)", "\\"]),
    min_size=1,
    max_size=12,
)
STYLES = st.sampled_from(["'", '"', "|", ">", None])


@settings(max_examples=200, deadline=None)
@given(WORDS, STYLES, st.integers(20, 60))
def test_every_sign_of_a_scalar_is_found_in_its_file(words: list[str], style: str | None, width: int) -> None:
    """Whatever a scalar's style and folding, each sign of its text is placed at that sign in the file."""
    text = yaml.dump({"key": {"when": " ".join(words)}}, default_style=style, width=width, allow_unicode=True)
    file = File("f.yaml", text)
    root, findings = parse(file)
    assert findings == []
    assert root is not None
    (node,) = next(iter(root.members.values())).members.values()

    lines = text.split("\n")
    for offset, sign in enumerate(node.text):
        if sign.isspace():
            continue
        place = locate(node, offset, 1)
        there = lines[place.line - 1][place.column - 1 :]
        assert there.startswith((sign, "\\")), (text, offset)


def test_pure_python_reads_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libyaml the same text gives the same tree and the same findings."""
    texts = ['a: x ? "y" : "z"\nb: [1, "2", {c: d}]\n', "a: 1\na: 2\n", "when: f(a, b)\nc: |\n  x\n"]
    before = [parse(File("f.yaml", text)) for text in texts]
    monkeypatch.setattr(spec_yaml, "_LOADER", yaml.SafeLoader)

    for text, (root, findings) in zip(texts, before, strict=True):
        again, same = parse(File("f.yaml", text))
        assert same == findings
        assert root is not None
        assert again is not None
        assert again.plain() == root.plain()
