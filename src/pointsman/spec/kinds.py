"""How each kind of value is read from a node: the value, or BAD where a finding says what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from pointsman.base import config as declarations
from pointsman.base.config import Kind
from pointsman.base.secret import Hidden
from pointsman.spec.keys import Component
from pointsman.spec.node import Node
from pointsman.spec.read import BAD, Reader, did_you_mean, listed, nearest
from pointsman.spec.unquoted import quoted

__all__ = ["read"]

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,12})?)%")
_PYTHON = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def read(reader: Reader, kind: Kind, node: Node) -> Any:
    """The value of `node` as `kind`, or BAD."""
    return BAD if node.broken else _READERS[type(kind)](reader, kind, node)


def _text(reader: Reader, kind: declarations.Text, node: Node) -> Any:
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, "text")
    if not isinstance(node.value, str) and not node.pieces:
        return reader.wrong(node, "text", f'write it in quotes: "{node.raw}"')
    if not node.text.strip():
        return reader.tell(node, "E205", "this text is empty", "write something, or leave the key out")
    if kind.pattern and not re.fullmatch(kind.pattern, node.text):
        return reader.tell(
            node, "E207", f"{node.found} is not a name that may stand here", _pattern(kind.pattern)
        )
    return node.text


def _secret(reader: Reader, _kind: declarations.Secret, node: Node) -> Any:
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, "a secret, such as ${NAME} or ${file:PATH}")
    if not node.pieces:
        reader.exposed(node)
    if not node.text.strip():
        return reader.tell(node, "E205", "this secret is empty", "set the variable or file it comes from")
    return Hidden(node.text)


def _whole(reader: Reader, kind: declarations.Whole, node: Node) -> Any:
    value = node.value if node.shape == "scalar" else None
    if isinstance(value, bool) or not isinstance(value, int):
        return reader.wrong(node, "a whole number", _digits(node, "100"))
    return _within(reader, node, value, kind.low, kind.high)


def _number(reader: Reader, kind: declarations.Number, node: Node) -> Any:
    value = node.value if node.shape == "scalar" else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return reader.wrong(node, "a number", _digits(node, "0.5"))
    return _within(reader, node, value, kind.low, kind.high)


def _within(reader: Reader, node: Node, value: float, low: float | None, high: float | None) -> Any:
    if low is not None and low == high != value:
        return reader.tell(node, "E205", f"{node.raw} is not {low}", f"write {low}")
    if low is not None and value < low:
        return reader.tell(node, "E205", f"{node.raw} is too small", f"write at least {low}")
    if high is not None and value > high:
        return reader.tell(node, "E205", f"{node.raw} is too large", f"write at most {high}")
    return value


def _flag(reader: Reader, _kind: declarations.Flag, node: Node) -> Any:
    value = node.value if node.shape == "scalar" else None
    return value if isinstance(value, bool) else reader.wrong(node, "true or false")


def _duration(reader: Reader, kind: declarations.Duration, node: Node) -> Any:
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, "a duration such as 50ms, 10s, 5m, 1h or 30d")
    found = _DURATION.fullmatch(node.text)
    if found is None:
        unit = (
            f"write {node.raw}ms or {node.raw}s"
            if re.fullmatch(r"\d+", node.raw)
            else "write 50ms, 10s, 5m, 1h or 30d"
        )
        return reader.tell(node, "E208", f"'{node.raw}' is not a duration", unit)
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not seconds and not kind.zero:
        return reader.tell(node, "E208", f"'{node.raw}' is no time at all", "write at least 1ms")
    return seconds


def _share(reader: Reader, _kind: declarations.Share, node: Node) -> Any:
    found = _SHARE.fullmatch(node.text) if node.shape == "scalar" else None
    if found is None:
        if node.shape != "scalar" or node.empty:
            return reader.wrong(node, "a share such as 5%")
        return reader.tell(node, "E209", f"'{node.raw}' is not a share", _percent(node.raw))
    share = Fraction(found[1]) / 100
    if share > 1:
        return reader.tell(node, "E209", f"{node.raw} is more than the whole", "write at most 100%")
    return share


def _percent(raw: str) -> str:
    """The hint for what is not a share."""
    if re.fullmatch(r"\d+", raw):
        return f"write {raw}%"
    if re.fullmatch(r"0?\.\d+", raw):
        return f"write {float(Fraction(raw) * 100):g}%, or {raw}% where that is meant"
    return "write 5% or 0.5%"


def _choice(reader: Reader, kind: declarations.Choice, node: Node) -> Any:
    words = kind.words
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, _either(words))
    if node.text not in words:
        return reader.tell(
            node, "E205", f"{node.found} is not one of {', '.join(words)}", did_you_mean(node.text, words)
        )
    return node.text


def _expression(reader: Reader, kind: declarations.Expression, node: Node) -> Any:
    if node.shape != "scalar":
        source = node.file.text[node.start : node.end]
        hint = "an expression that begins with [ or { stands in quotes"
        if node.style == "flow" and "\n" not in source and len(source) < 200:
            hint += f": {quoted(source)}"
        return reader.wrong(node, "a CEL expression", hint)
    if not node.text.strip():
        return reader.wrong(node, "a CEL expression", "a # begins a comment" if node.raw else "")
    program = reader.expressions.compile(node, kind.over, kind.result, reader.tell)
    return BAD if program is None else program


def _python(reader: Reader, _kind: declarations.PythonName, node: Node) -> Any:
    if node.shape != "scalar" or not isinstance(node.value, str):
        return reader.wrong(node, "a Python name such as module:function")
    if not _PYTHON.fullmatch(node.text):
        return reader.tell(node, "E207", f"{node.found} is not a Python name", "write it as module:function")
    return node.text


def _file(reader: Reader, _kind: declarations.FileName, node: Node) -> Any:
    if node.shape != "scalar" or not isinstance(node.value, str):
        return reader.wrong(node, "a file's path")
    path = reader.folder / node.text
    if path.is_file():
        return path
    if path.is_dir():
        return reader.tell(node, "E216", f"{node.found} is a folder", "name a file in it")
    if "@" in node.text and path.with_name(path.name.partition("@")[0]).is_file():
        return reader.later(node, "path@digest")
    return reader.tell(node, "E216", f"there is no file {node.found}", _near_file(path))


def _near_file(path: Path) -> str:
    hint = "paths are relative to the document's folder"
    try:
        near = nearest(path.name, (other.name for other in path.parent.iterdir()))
    except OSError:
        return hint
    return f"did you mean '{near}'?" if near else hint


def _model(reader: Reader, _kind: declarations.ModelName, node: Node) -> Any:
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, "a model's name")
    return reader.model(node, node.text)


def _table(reader: Reader, _kind: declarations.TableName, node: Node) -> Any:
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, "a table's name")
    known = reader.expressions.tables
    if node.text in known:
        return node.text
    otherwise = listed("tables", known) or "declare it under tables"
    return reader.tell(
        node, "E218", f"no table is called {node.found}", did_you_mean(node.text, known, otherwise)
    )


def _topic(reader: Reader, _kind: declarations.TopicName, node: Node) -> Any:
    if node.shape != "scalar" or node.empty:
        return reader.wrong(node, "a topic's name")
    if not _TOPIC.fullmatch(node.text) or node.text in (".", ".."):
        hint = "a topic's name has at most 249 letters, digits, '.', '_' and '-'"
        return reader.tell(node, "E207", f"{node.found} cannot name a topic", hint)
    return node.text


def _anything(_reader: Reader, _kind: declarations.Anything, node: Node) -> Any:
    return node.plain()


def _list(reader: Reader, kind: declarations.ListOf, node: Node) -> Any:
    if node.shape != "list":
        one = node.file.text[node.start : node.end] if node.shape == "scalar" and not node.empty else ""
        short = one and "\n" not in one and len(one) < 80
        return reader.wrong(node, "a list", f"write [{one}]" if short else "")
    values = [read(reader, kind.item, item) for item in node.items]
    if len(node.items) < kind.least:
        return reader.tell(
            node, "E205", f"the list has {len(node.items)} values", f"give at least {kind.least}"
        )
    return [value for value in values if value is not BAD]


def _map(reader: Reader, kind: declarations.MapOf, node: Node) -> Any:
    if node.shape != "map":
        return reader.wrong(node, "a map of names to values")
    values: dict[str, Any] = {}
    usable = True
    for name, member in node.members.items():
        if kind.names == "models":
            reader.model(node.keys[name], name)
        value = read(reader, kind.value, member)
        if value is BAD:
            usable = False
        else:
            values[name] = value
    if len(node.members) < kind.least:
        found = len(node.members)
        return reader.tell(
            node, "E205", f"the map has {found} value{'s'[: found != 1]}", f"give at least {kind.least}"
        )
    return values if usable or kind.names == "fields" else BAD


def _by_expression(reader: Reader, kind: declarations.ByExpression, node: Node) -> Any:
    if node.shape != "map":
        return reader.wrong(node, "a map of expressions, such as the names of fields, to values")
    pairs = []
    for name, member in node.members.items():
        program = reader.expressions.compile(node.keys[name], "event", "dyn", reader.tell)
        value = read(reader, kind.value, member)
        pairs.append((program, value))
    return BAD if any(program is None or value is BAD for program, value in pairs) else tuple(pairs)


def _component(_reader: Reader, _kind: Component, node: Node) -> Node:
    """Components are read by `components`, once it is clear which one it is."""
    return node


def _nested(reader: Reader, kind: declarations.Nested, node: Node) -> Any:
    return reader.config(kind.cls, node)


def _one_of(reader: Reader, kind: declarations.OneOf, node: Node) -> Any:
    fitting = [one for one in kind.kinds if _fits(one, node)]
    if not fitting:
        texts = any(isinstance(one, declarations.Text) for one in kind.kinds) and node.shape == "scalar"
        hint = f'write it in quotes: "{node.raw}"' if texts and not node.empty else ""
        return reader.wrong(node, _either([_word_for(one) for one in kind.kinds]), hint)
    for one in fitting[:-1]:
        kept, told = list(reader.findings), set(reader.told)
        value = read(reader, one, node)
        if value is not BAD:
            return value
        reader.findings, reader.told = kept, told
    return read(reader, fitting[-1], node)


def _fits(kind: Kind, node: Node) -> bool:
    """Whether a node has the shape of a kind."""
    if isinstance(kind, declarations.Anything):
        return True
    if isinstance(kind, (declarations.Nested, declarations.MapOf, declarations.ByExpression)):
        return node.shape == "map"
    if isinstance(kind, declarations.ListOf):
        return node.shape == "list"
    if node.shape != "scalar":
        return False
    if isinstance(kind, (declarations.Text, declarations.Secret)):
        return isinstance(node.value, str) or bool(node.pieces)
    if isinstance(kind, (declarations.Whole, declarations.Number)):
        numbers = int if isinstance(kind, declarations.Whole) else (int, float)
        return isinstance(node.value, numbers) and not isinstance(node.value, bool)
    return not isinstance(kind, declarations.Flag) or isinstance(node.value, bool)


_WORDS: Final = {
    declarations.Text: "text",
    declarations.Whole: "a whole number",
    declarations.Number: "a number",
    declarations.Flag: "true or false",
    declarations.Expression: "a CEL expression",
    declarations.ListOf: "a list",
    declarations.MapOf: "a map",
    declarations.ByExpression: "a map",
    declarations.Nested: "a map",
    declarations.Duration: "a duration",
    declarations.Share: "a share",
    declarations.ModelName: "a model's name",
}


def _word_for(kind: Kind) -> str:
    return _WORDS.get(type(kind), "a value")


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _digits(node: Node, example: str) -> str:
    """The hint for what is not a number such as `example`."""
    number = r"-?\d+" if example.isdigit() else r"-?\d+(\.\d+)?"
    quoted_number = node.style in ("single", "double") and re.fullmatch(number, node.text)
    return f"write it without quotes: {node.raw}" if quoted_number else f"write digits, such as {example}"


def _pattern(pattern: str) -> str:
    """What a name's pattern wants, in words."""
    if pattern.startswith("[a-z0-9]"):
        return "use small letters, digits, '-' and '_'; the first is a letter or digit"
    if pattern.startswith("[A-Za-z_]"):
        return "use letters, digits and '_'; the first is not a digit"
    return "use letters, digits, '.', '-' and '_'; the first is a letter or digit"


_READERS: Final[dict[type[Kind], Callable[[Reader, Any, Node], Any]]] = {
    declarations.Anything: _anything,
    declarations.ByExpression: _by_expression,
    declarations.Choice: _choice,
    declarations.Duration: _duration,
    declarations.Expression: _expression,
    declarations.FileName: _file,
    declarations.Flag: _flag,
    declarations.ListOf: _list,
    declarations.MapOf: _map,
    declarations.ModelName: _model,
    declarations.Nested: _nested,
    declarations.Number: _number,
    declarations.OneOf: _one_of,
    declarations.PythonName: _python,
    declarations.Secret: _secret,
    declarations.Share: _share,
    declarations.TableName: _table,
    declarations.Text: _text,
    declarations.TopicName: _topic,
    declarations.Whole: _whole,
    Component: _component,
}
"""Every kind that a key may be declared with."""
