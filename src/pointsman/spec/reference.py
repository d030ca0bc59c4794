"""The reference pages, made from the declarations: every key, and every error code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from pointsman.base import config as kinds
from pointsman.base.config import Key, Kind
from pointsman.base.registry import Registry
from pointsman.spec.cases import CaseKeys, Stub, WantKeys
from pointsman.spec.codes import CATALOGUE, CHAPTERS
from pointsman.spec.components import REGISTRIES, SHORTHAND, available
from pointsman.spec.dispatch import EndpointKeys
from pointsman.spec.keys import Common, Component, Keys, Limits, RouteKeys, Source, Write
from pointsman.spec.later import COMPONENTS, STEP, WORDS
from pointsman.spec.read import declared
from pointsman.spec.schema import ALSO_REQUIRED

__all__ = ["errors_page", "reference_page"]

_WRITTEN = "<!-- Written by `make generate` from the declarations; change those, not this page. -->"
_PREFACE = """\
A key without default may be left out unless it is required. *CEL* marks an [expression](expressions.md);
everything else is taken as it stands. `${NAME}`, `${NAME:-default}` and `${file:PATH}` stand for a value in
any text. Durations are written `50ms`, `10s`, `5m`, `1h`, `30d`, shares `5%`."""
_CODES = """\
`E` stops the pipeline, `W` only warns. The pieces below stand over the pipeline of `examples/payments`, as
`--overlay` would merge them. `pointsman check` reads the file, compiles every expression, opens the models
and reads the tables, so all of these come before the first event."""
_SECTIONS: tuple[tuple[str, type[Any] | str], ...] = (
    ("source", Source),
    ("tables.NAME", "table"),
    ("enrich.FIELD", "enricher"),
    ("endpoints.NAME", "endpoint"),
    ("models.NAME", "model"),
    ("routes[]", RouteKeys),
    ("routes[].use", "strategy"),
    ("limits", Limits),
    ("write", Write),
)
"""The sections of the page: a config dataclass, or the role whose components it lists."""

_ROLES = {
    "endpoint": "A server whose models share connections, identity and limits: one protocol with its "
    "address, and the keys below. Its models say `endpoint: NAME` in place of a protocol.",
    "enricher": "A CEL expression alone, or a map with the keys of one enricher.",
    "model": "A map with the keys of one protocol and those that every model has.",
    "strategy": "A model's name alone, or a map with the keys of one strategy.",
    "table": "A map with the keys of one kind of table.",
}


def reference_page() -> str:
    """`docs/reference.md`: every key of a document and of its tests."""
    lines = [
        "# Every key of a document",
        "",
        _WRITTEN,
        "",
        _PREFACE,
        "",
        "## The document",
        "",
        *_table("Keys", declared(Keys)),
    ]
    told: set[type[Any]] = set()
    for title, section in _SECTIONS:
        lines += ["", f"## `{title}`", ""]
        lines += (
            _role(section, told)
            if isinstance(section, str)
            else [*_keys(section), *_maps(declared(section), told)]
        )
    lines += _tests()
    return "\n".join(lines) + "\n"


def _nested(known: Mapping[str, Key], prefix: str = "") -> Iterator[tuple[str, type[Any]]]:
    """The maps inside of keys, each with its path, that have no section of their own."""
    for name, key in known.items():
        for cls in _classes(key.kind) if key.step <= STEP else ():
            if cls not in _TITLES:
                yield f"{prefix}{name}", cls
                yield from _nested(declared(cls), f"{prefix}{name}.")


def _classes(kind: Kind) -> Iterator[type[Any]]:
    """The classes of the maps that a value may be or hold."""
    match kind:
        case kinds.Nested():
            yield kind.cls
        case kinds.OneOf():
            for one in kind.kinds:
                yield from _classes(one)
        case kinds.ListOf():
            yield from _classes(kind.item)
        case kinds.MapOf() | kinds.ByExpression():
            yield from _classes(kind.value)


@cache
def _inner() -> Mapping[type[Any], str]:
    """The heading of each such map; one that stands at several places has the first's."""
    owners: list[type[Any]] = [EndpointKeys, Common, RouteKeys, Limits, Write]
    owners += [component.Config for registry in REGISTRIES.values() for _, component in _each(registry)]
    found: dict[type[Any], str] = {}
    for owner in owners:
        for title, cls in _nested(declared(owner)):
            found.setdefault(cls, title)
    return found


def _each(registry: Registry[Any]) -> Iterator[tuple[str, Any]]:
    yield from registry


def _maps(known: Mapping[str, Key], told: set[type[Any]]) -> list[str]:
    """The tables of the maps inside of these keys, but of those that are told already."""
    lines: list[str] = []
    for title, cls in _nested(known):
        if cls not in told:
            told.add(cls)
            lines += ["", f"#### `{title}`", "", *_keys(cls)]
    return lines


def _role(role: str, told: set[type[Any]]) -> list[str]:
    """The components of a role, each with its keys and an example."""
    lines = [_ROLES[role]]
    if role == "endpoint":
        protocols = _listed(available("endpoint"))
        return [
            *lines,
            "",
            f"Protocols: {protocols}.",
            "",
            *_table("EndpointKeys", declared(EndpointKeys)),
            *_maps(declared(EndpointKeys), told),
        ]
    short = SHORTHAND.get(role)
    if short is not None:
        component: Any = REGISTRIES[role].get(short)
        lines += ["", f"Written alone: {_said(component)}", "", _fenced(component.example())]
    if role == "model":
        lines += ["", "Every model:", "", *_table("Common", declared(Common)), *_maps(declared(Common), told)]
    for name in available(role):
        component = REGISTRIES[role].get(name)
        lines += ["", f"### `{name}`", "", _said(component), ""]
        lines += [*_table(f"{role}.{name}", declared(component.Config)), "", _fenced(component.example())]
        lines += _maps(declared(component.Config), told)
    later = sorted(name for name in COMPONENTS[role] if name not in available(role))
    return [*lines, *(["", f"In later versions: {_listed(later)}."] if later else [])]


def _keys(cls: type[Any]) -> list[str]:
    """The keys of one config dataclass."""
    return [_said(cls), "", *_table(cls.__name__, declared(cls))]


def _tests() -> list[str]:
    lines = ["", "## Tests of a document", "", "`NAME_test.yaml` beside `NAME.yaml` is a list of cases."]
    lines += ["", *_table("CaseKeys", declared(CaseKeys))]
    lines += ["", "### Stubs", "", *_keys(Stub)]
    lines += ["", "### `want`", "", *_keys(WantKeys)]
    return lines


def _table(owner: str, known: Mapping[str, Key]) -> list[str]:
    """A table of keys, and a line with those of later versions."""
    lines = ["| key | value | meaning | default |", "|---|---|---|---|"]
    for name, key in known.items():
        if key.step <= STEP:
            lines.append(
                f"| `{name}` | {_value(owner, name, key)} | {_meaning(key)} | {_default(owner, name, key)} |"
            )
    later = [name for name, key in known.items() if key.step > STEP]
    return [*lines, *(["", f"In later versions: {_listed(later)}."] if later else [])]


def _value(owner: str, name: str, key: Key) -> str:
    later = WORDS.get((owner, name), {})
    if isinstance(key.kind, kinds.Choice):
        return _words(word for word in key.kind.words if word not in later)
    return _in_words(key.kind)


def _in_words(kind: Kind) -> str:
    """What a value may be, for people."""
    match kind:
        case kinds.Expression(result="dyn"):
            return "*CEL*"
        case kinds.Expression():
            return f"*CEL* giving {_ARTICLES.get(kind.result, kind.result)}"
        case kinds.Choice():
            return _words(kind.words)
        case kinds.Whole() | kinds.Number():
            word = "whole number" if isinstance(kind, kinds.Whole) else "number"
            low = "" if kind.low is None else f", at least {kind.low}"
            high = "" if kind.high is None else f", at most {kind.high}"
            return word + low + high
        case kinds.ListOf():
            return f"list of {_in_words(kind.item)}"
        case kinds.MapOf():
            keyed = "model" if kind.names == "models" else "field" if kind.names == "fields" else "name"
            return f"map from {keyed} to {_in_words(kind.value)}"
        case kinds.ByExpression():
            return f"map from *CEL*, such as a field's name, to {_in_words(kind.value)}"
        case kinds.OneOf():
            return " or ".join(dict.fromkeys(_in_words(one) for one in kind.kinds))
        case kinds.Nested():
            title = _TITLES.get(kind.cls) or _inner().get(kind.cls, "")
            keys = _listed(name for name, key in declared(kind.cls).items() if key.step <= STEP)
            return f"[map](#{_anchor(title)})" if title else f"map with {keys}"
        case Component():
            return f"[{kind.role}](#{_anchor(_TITLES[kind.role])})"
    return _KINDS[type(kind)]


_TITLES: dict[Any, str] = {section: title for title, section in _SECTIONS} | {Stub: "Stubs", WantKeys: "want"}
_ARTICLES = {"bool": "true or false", "string": "text"}
_KINDS = {
    kinds.Anything: "any value",
    kinds.Duration: "duration",
    kinds.FileName: "file, relative to the document's folder",
    kinds.Flag: "`true` or `false`",
    kinds.ModelName: "a model's name",
    kinds.PythonName: "`module:function`",
    kinds.Secret: "a secret, such as `${NAME}` or `${file:PATH}`",
    kinds.Share: "share",
    kinds.TableName: "a table's name",
    kinds.Text: "text",
    kinds.TopicName: "topic",
}


def _meaning(key: Key) -> str:
    example = f" Example: `{key.example}`" if key.example else ""
    return f"{key.meaning}{example}".replace("|", "\\|")


def _default(owner: str, name: str, key: Key) -> str:
    if key.required or name in ALSO_REQUIRED.get(owner, ()):
        return "*required*"
    default = key.default
    if isinstance(key.kind, kinds.Duration) and isinstance(default, float):
        return f"`{default:g}s`" if default >= 1 else f"`{default * 1000:g}ms`"
    if isinstance(default, Fraction):
        return f"`{float(default * 100):g}%`"
    if isinstance(default, (str, int, float)) and default != "":
        return f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return ""


def _said(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\nAttributes:")[0].split())


def _fenced(text: str) -> str:
    return f"```\n{text}\n```"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _words(words: Iterable[str]) -> str:
    return " or ".join(f"`{word}`" for word in words)


def _anchor(title: str) -> str:
    return "".join(sign for sign in title.lower() if sign.isalnum() or sign in "-_")


def errors_page() -> str:
    """`docs/errors.md`: cause, fix, wrong and right for every code."""
    lines = [
        "# Every error code",
        "",
        _WRITTEN,
        "",
        _CODES,
    ]
    for chapter, title in CHAPTERS.items():
        lines += ["", f"## {title}"]
        for code in sorted((code for code in CATALOGUE if code[1] == chapter), key=lambda code: code[1:]):
            lines += list(_code(code))
    return "\n".join(lines) + "\n"


def _code(code: str) -> Iterator[str]:
    found = CATALOGUE[code]
    yield from (
        "",
        f"### {code}",
        "",
        f"**{found.title[0].upper()}{found.title[1:]}.** {found.cause}",
        "",
        found.fix,
    )
    if found.wrong:
        yield from ("", "Wrong:", "", _fenced(found.wrong), "", "Right:", "", _fenced(found.right))
