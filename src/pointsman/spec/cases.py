"""The tests of a document: `NAME_test.yaml`, a list of cases, read with positions like the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pointsman.base.config import Anything, Choice, ListOf, MapOf, ModelName, Nested, OneOf, Text, Whole
from pointsman.base.config import key as declare  # one of the keys is called key
from pointsman.base.errors import Misfit, SpecError
from pointsman.base.reasons import FAILURE_CLASSES, STATUSES
from pointsman.enrich.base import enrichers
from pointsman.spec import kinds
from pointsman.spec.document import Document
from pointsman.spec.expressions import Expressions
from pointsman.spec.load import read_file
from pointsman.spec.node import Node
from pointsman.spec.read import Reader, declared, did_you_mean, listed
from pointsman.spec.yaml import parse
from pointsman.state.memory import Memory
from pointsman.state.window_seed import seed

__all__ = ["Case", "CaseKeys", "Stub", "WantKeys", "load_cases"]


@dataclass(frozen=True, slots=True)
class Stub:
    """What stands in for a model: a reply, or a failure."""

    reply: Any = declare(Anything(), "What the model replies.", default=None, example="{score: 0.83}")
    fails: str | None = declare(
        Choice(FAILURE_CLASSES), "The class of its failure.", default=None, example="timeout"
    )


@dataclass(frozen=True, slots=True)
class WantKeys:
    """What a case may want; a map is matched key by key and may hold more."""

    route: str | None = declare(Text(), "The route.", default=None, example="singapore-large")
    strategy: str | None = declare(Text(), "The strategy's name.", default=None, example="split")
    model: str | None = declare(ModelName(), "The model that was picked.", default=None, example="baseline")
    propensity: Any = declare(Anything(), "The pick's probability.", default=None, example="0.1")
    reason: str | None = declare(Text(), "Why the route was taken.", default=None, example="rule")
    status: str | None = declare(Choice(tuple(STATUSES)), "How it ended.", default=None, example="ok")
    metadata: Any = declare(Anything(), "Metadata fields.", default=None, example="{risk_level: high}")
    errors: Any = declare(ListOf(Anything()), "Errors that the record names.", default=None)
    result: Any = declare(Anything(), "Parts of the result.", default=None, example="{output: {score: 0.83}}")
    decision: Any = declare(Anything(), "Parts of the decision.", default=None)
    dead_letter: Any = declare(
        Anything(), "The dead letter's reason, or its parts.", default=None, example="unmatched"
    )
    id: Any = declare(Anything(), "The event's id.", default=None, example="t-91")
    time: Any = declare(Anything(), "The event's time, in epoch milliseconds.", default=None)
    event: Any = declare(Anything(), "Parts of the event in the record.", default=None)
    source: Any = declare(Anything(), "Where the record says it came from.", default=None)


@dataclass(frozen=True, slots=True)
class CaseKeys:
    """The keys of one case."""

    name: str = declare(Text(), "What the case shows.", example="a large payment goes to the fraud model")
    event: Any = declare(
        Anything(),
        "The event: its JSON, or a text that is the record's value as it stands.",
        example="{user_id: U8723, location: Singapore, amount: 1020}",
    )
    key: str | None = declare(Text(), "The record's Kafka key.", default=None, example="U8723")
    headers: Mapping[str, str] | None = declare(
        MapOf(Text()), "The record's headers.", default=None, example="{traceparent: 00-ab-cd-01}"
    )
    time: Any = declare(
        OneOf((Whole(), Text())),
        "The record's timestamp: epoch milliseconds, or a time such as 2025-10-09T08:53:20Z.",
        default=None,
        example="2025-10-09T08:53:20Z",
    )
    state: Mapping[str, Any] = declare(
        MapOf(MapOf(Anything())),
        "What windows show before the event, by field and key; a window with several aggregates as a map.",
        default={},
        step=3,
        example="{spend: {U8723: 4300.0}}",
    )
    tables: Mapping[str, Any] = declare(
        MapOf(MapOf(Anything())),
        "Rows by key that stand in for a table's own.",
        default={},
        example="{customers: {U1: {segment: gold}}}",
    )
    choose: str | None = declare(
        ModelName(),
        "Fixes what a strategy picks; without it the hash decides.",
        default=None,
        example="baseline",
    )
    models: Mapping[str, Stub] = declare(
        MapOf(Nested(Stub), names="models"),
        "What stands in for a model; the others are called.",
        default={},
        example="{baseline: {reply: {score: 0.4}}}",
    )
    want: Mapping[str, Any] = declare(
        Nested(WantKeys), "What must hold.", example="{route: singapore-large, status: ok}"
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One case, checked against its document.

    Attributes:
        line: Where it stands.
        event: What is encoded as the record's value; a text is the value as it stands.
        key: The record's Kafka key.
        headers: The record's headers, in order.
        time: The record's timestamp in epoch milliseconds, or None: now.
        state: What windows show before the event, by field and key.
        tables: Rows by table and key.
        choose: The model that strategies pick, or None.
        models: The stubs by model.
        want: What must hold, as it was written.
    """

    name: str
    line: int
    event: Any
    key: str | None
    headers: tuple[tuple[str, str], ...]
    time: int | None
    state: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Mapping[str, Any]]
    choose: str | None
    models: Mapping[str, Stub]
    want: Mapping[str, Any]


def load_cases(path: str | Path, document: Document) -> list[Case]:
    """The cases of a test file.

    Args:
        path: The file.
        document: What they test: models, routes and tables that they name must be its own.

    Raises:
        SpecError: The file is wrong; carries every finding.
        EnvironmentFault: It cannot be read.
    """
    file, findings = read_file(path)
    root = None
    if not findings:
        root, findings = parse(file)
    reader = Reader(document.folder, Expressions(), frozenset(document.models), kinds.read)
    cases: list[Case] = []
    if root is not None and root.shape != "list":
        reader.wrong(root, "a list of cases", "begin each case with '- name: …'")
    elif root is not None:
        cases = [case for item in root.items if (case := _case(reader, item, document)) is not None]
        _names_differ(reader, root)
    findings = sorted(findings + reader.findings, key=lambda found: (found.line, found.column))
    if findings:
        raise SpecError(findings)
    return cases


def _case(reader: Reader, node: Node, document: Document) -> Case | None:
    values = reader.keys(declared(CaseKeys), node, "CaseKeys", "the case")
    if not isinstance(values, dict):
        return None
    time = _time(reader, node.members["time"], values["time"]) if "time" in values else None
    _tables(reader, node, document)
    _state(reader, node, document)
    _stubs(reader, node)
    _want(reader, node, document)
    return Case(
        name=values["name"],
        line=node.place.line,
        event=values["event"],
        key=values.get("key"),
        headers=tuple(values.get("headers", {}).items()),
        time=time,
        state=values.get("state", {}),
        tables=values.get("tables", {}),
        choose=values.get("choose"),
        models=values.get("models", {}),
        want=node.members["want"].plain() if "want" in node.members else {},
    )


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _time(reader: Reader, node: Node, value: int | str) -> int | None:
    """Epoch milliseconds of a time given as such or in words."""
    if isinstance(value, int):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        reader.tell(
            node, "E205", f"{node.found} is not a time", "write 2025-10-09T08:53:20Z or epoch milliseconds"
        )
        return None
    return round((moment - _EPOCH).total_seconds() * 1000)


def _tables(reader: Reader, node: Node, document: Document) -> None:
    tables = node.members.get("tables")
    for name, key in tables.keys.items() if tables is not None else ():
        if name not in document.tables:
            hint = did_you_mean(name, document.tables, "declare it under tables in the pipeline")
            reader.tell(key, "E218", f"no table is called '{name}'", hint)


def _state(reader: Reader, node: Node, document: Document) -> None:
    """What is set can be shown: the fields are windows, and the values theirs."""
    state = node.members.get("state")
    windows = {spec.field: spec for spec in document.enrich if spec.enricher == "window"}
    for field, key in state.keys.items() if state is not None else ():
        if field not in windows:
            hint = did_you_mean(field, windows, "only windows can be set; quality and dedupe begin empty")
            reader.tell(key, "E205", f"'{field}' is not a window", hint)
            continue
        window: Any = enrichers.get("window").from_config(windows[field].config)
        for name, member in state.members[field].members.items() if state is not None else ():
            try:
                seed(window.store(Memory()), name, member.plain(), 0)
            except Misfit as misfit:
                reader.tell(member, misfit.code, f"{field} of '{name}': {misfit}", misfit.hint)


def _stubs(reader: Reader, node: Node) -> None:
    """A stub replies or fails, not both."""
    stubs = node.members.get("models")
    for name, stub in stubs.members.items() if stubs is not None else ():
        given = stub.members.keys()
        if stubs is None or stub.shape != "map" or not given <= {"reply", "fails"} or len(given) == 1:
            continue
        does = "both replies and fails" if given else "neither replies nor fails"
        hint = "write {reply: …} or {fails: timeout}"
        reader.tell(stubs.keys[name], "E215", f"the stub of '{name}' {does}", hint)


def _want(reader: Reader, node: Node, document: Document) -> None:
    """What is wanted can be: the route exists."""
    want = node.members.get("want")
    route = want.members.get("route") if want is not None else None
    names = [one.name for one in document.routes]
    if route is not None and route.shape == "scalar" and not route.empty and route.text not in names:
        hint = did_you_mean(route.text, names, listed("routes", names))
        reader.tell(route, "E219", f"no route is called {route.found}", hint)


def _names_differ(reader: Reader, root: Node) -> None:
    seen: dict[str, int] = {}
    for item in root.items:
        name = item.members.get("name")
        if name is None or name.shape != "scalar":
            continue
        if name.text in seen:
            message = f"two cases are called '{name.text}'"
            reader.tell(name, "E210", message, f"the other stands in line {seen[name.text]}; rename one")
        seen.setdefault(name.text, name.place.line)
