"""Mistakes, and what a person is told about them."""

from dataclasses import replace

import pytest
from tests.cel.scopes import FIELDS, OPEN, TYPED

from pointsman.cel.problems import CODES, ExpressionErrors
from pointsman.cel.program import compile as cel


def problems(text, scope=TYPED, want=None):
    try:
        return list(cel(text, scope, want).warnings)
    except ExpressionErrors as errors:
        return list(errors.problems)


@pytest.mark.parametrize(
    ("text", "code", "underlined", "words"),
    [
        ('amount > 1 and location == "x"', "E304", "and", "&&"),
        ("flag or amount > 1", "E304", "or", "||"),
        ("not flag", "E304", "not", "!"),
        ("amount not in [1.0]", "E304", "not", "!"),
        ('location = "x"', "E304", "=", "=="),
        ("flag & amount > 1", "E304", "&", "&&"),
        ("flag | amount > 1", "E304", "|", "||"),
        ("location is null", "E304", "is", "=="),
        ("location == None", "E304", "None", "null"),
        ("flag == True", "E304", "True", "true"),
        ("1 if flag else 2", "E304", "if", "condition ? a : b"),
        ("elif flag", "E304", "elif", "? b :"),
        ("amount ** 2.0", "E304", "**", "x * x"),
        ("amount <> 2.0", "E304", "<>", "!="),
        ('location === "x"', "E304", "===", "=="),
        ('f"{location}"', "E304", "f", "format"),
        ("amount > 1_000", "E300", "1_000", "1000"),
        ("len(location) > 3", "E301", "len", "size(x)"),
        ('location.lower() == "x"', "E301", "lower", "lowerAscii"),
        ('location.startswith("x")', "E301", "startswith", "startsWith"),
        ('locaton == "x"', "E301", "locaton", "did you mean 'location'?"),
        ('risklevel == "x"', "E301", "risklevel", "did you mean 'risk_level'?"),
        ("Amount > 1", "E301", "Amount", "did you mean 'amount'?"),
        ('metadata.risk_levl == "x"', "E301", "metadata.risk_levl", "did you mean 'risk_level'?"),
        ('event.locaton == "x"', "W308", "event.locaton", "did you mean 'location'?"),
        ('amount > "1000"', "E303", 'amount > "1000"', "take the quotes off"),
        ("location == 5", "E303", "location == 5", "string(number)"),
        ("location in [1, 2]", "E303", "location in [1, 2]", ""),
        ("1.0 < amount < 5.0", "E303", "<", "do not chain"),
        ("flag == 1", "E303", "flag == 1", ""),
        ("amount * 2 > 4.0", "E303", ">", "double(x)"),
        ("size(location) == 2.5", "E303", "==", "double(x)"),
        ("ts > 5", "E303", "ts > 5", ""),
        ("event.?amount > 5.0", "E303", ">", ""),
        ('amount + "x"', "E302", 'amount + "x"', "string(number)"),
        ("amount * 2", "E302", "amount * 2", "2.0"),
        ("count * 2.5", "E302", "count * 2.5", "double(x)"),
        ("amount % 2.0", "E302", "%", "int(x)"),
        ("flag && amount", "E302", "amount", "x != 0"),
        ("!location", "E302", "location", 'x != ""'),
        ('"a" in location', "E302", '"a" in location', "contains"),
        ("location.getHours()", "E302", "location.getHours()", "timestamp(x)"),
        ("location[0]", "E302", "location[0]", "charAt"),
        ('location.matches("(")', "E306", '"("', ""),
        ('ts > timestamp("yesterday")', "E306", '"yesterday"', ""),
        ('now > now + duration("1 day")', "E306", '"1 day"', ""),
        ("has(amount)", "E300", "amount", "has(event.amount)"),
        ("has(event.in)", "E300", "event", '"in" in event'),
        ('has(event["a b"])', "E300", "[", '"a b" in event'),
        ("has(event)", "E300", "event", "has(event.x)"),
        ("(amount > 1", "E300", "1", ""),
        ('location == "x', "E300", '"x', ""),
        ("amount >", "E300", ">", ""),
        ("amount > 1 location", "E300", "location", "is an operator"),
        ("tags.all(t)", "E302", "all", "items.all(i, condition)"),
        ("for == 1", "E300", "for", 'event["for"]'),
        ("amount > 99999999999999999999", "E300", "99999999999999999999", "as a double"),
        ('type == "sale"', "E303", "==", 'event["type"]'),
        ("math.greatest()", "E302", "math", "math.greatest(a, b)"),
        ("", "E300", "", ""),
    ],
)
def test_a_mistake_is_found_where_it_stands(text, code, underlined, words):
    """Code, place and hint of the first problem."""
    found = problems(text)
    first = found[0]

    assert first.code == code
    assert text[first.offset : first.offset + first.length] == underlined
    assert words in f"{first.message} {first.hint}"
    assert "ERROR" not in first.message


def test_the_names_of_a_foreign_macro_are_no_mistakes_of_their_own():
    """`any(i, …)` is one mistake: its `i` is not looked for among the fields; other names still are."""
    found = problems("event.items.any(i, i.price > 5 && locaton == i.name)")

    assert [(p.code, p.hint) for p in found] == [
        ("E301", "write items.exists(i, condition)"),
        ("E301", "did you mean 'location'? declare new fields under source.fields"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'location == null || location == "x"',
        "amount > 1000 && count > 10.5",
        "amount == count",
        "event.nested.thing == 1",
        "event.unheard_of > 1",
        'location.contains("and") && location != "is not"',
        "amount > 1.0 // and a comment",
        "tags[0].x == 1 && tags.size() > 2",
        'risk_level in ["low", "high"]',
        "event.?amount.orValue(0.0) * 2.0 > 1.0",
        "string(amount) + location == topic",
        'event["and"] == event.or',
    ],
)
def test_what_is_right_passes(text):
    """No problem is found where there is none."""
    assert problems(text, want="bool") == []


@pytest.mark.parametrize("name", ["key", "topic", "now", "headers"])
def test_a_field_behind_a_name_that_always_exists_is_pointed_at(name):
    """The bare name is not the field, which is what somebody who declared it may think; brackets are."""
    scope = replace(TYPED, members={"event": {**FIELDS, name: "string"}})
    (found,) = problems(f"amount > 1.0 && {name} == {name}", scope)[:1]
    assert (found.code, found.severity, found.offset, found.length) == ("W309", "warning", 16, len(name))
    assert f'event["{name}"]' in found.hint
    assert problems(f'event["{name}"] != null && event.{name} != ""', scope) == []


def test_all_mistakes_are_told_at_once():
    """Several unknown names, or several Python words, are one refusal."""
    assert [p.message for p in problems("amont > 1 && locaton == 'x'")] == [
        "'amont' is not a field of the event or its metadata",
        "'locaton' is not a field of the event or its metadata",
    ]
    assert [p.hint for p in problems("not flag and amount = 1.0")] == [
        "write ! in place of 'not': !(amount > 5), !(x in [1, 2])",
        "write && in place of 'and'",
        "write == to compare",
    ]


def test_another_type_than_is_needed():
    """A condition that is no bool is refused; a comment that eats its end is guessed."""
    assert [p.code for p in problems("location", want="bool")] == ["E307"]
    assert "begins a comment" in problems("amount // 2 > 5", want="bool")[0].hint
    assert problems("event.x", want="bool") == []


def test_an_open_scope_knows_pythons_words():
    """Where any name is a field, `True` and `None` still are not."""
    assert [p.code for p in problems("shade == None", OPEN)] == ["E304"]
    assert [p.code for p in problems("True", OPEN)] == ["E304"]


def test_every_code_is_explained():
    """The table of codes is what the reference page is made of; nothing else is ever reported."""
    texts = ["a and b", "x", "amount + 1", "flag == 1", "(", "9" * 30_000, 'location.matches("(")', "amount"]
    found = {problem.code for text in texts for problem in problems(text, want="bool")}
    assert found <= set(CODES)
    assert all(meaning for meaning in CODES.values())
