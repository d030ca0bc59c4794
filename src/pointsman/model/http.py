"""`http: ADDRESS`: any REST API, its request and reply shaped by expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pointsman.base.config import Choice, Expression, Flag, ListOf, MapOf, Nested, OneOf, Text, key
from pointsman.base.errors import EvalError, InvalidInput, Misfit, ModelError
from pointsman.cel.program import Program
from pointsman.model.asked import event_only, given, names_of, taken
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.jsonrows import one_each
from pointsman.model.remote import Ask, Health
from pointsman.model.rest import body_of, json_of, post, quoted, readiness
from pointsman.model.rowwise import json_value
from pointsman.model.served import Served

__all__ = ["Chosen", "HttpModel"]

_PATH: Final = r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*"
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS: Final = frozenset(("authorization", "connection", "content-length", "host", "transfer-encoding"))
"""Headers that no expression sets."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A part of an address that depends on the event: one of a few values that the document lists."""

    choose: Program = key(
        Expression("string"),
        "Which one.",
        example='\'country == "SG" ? "/sg" : "/rest"\'',
        step=2,
    )
    among: Sequence[str] = key(
        ListOf(Text(), least=1),
        "What may be chosen; anything else is never sent.",
        example="[/sg, /rest]",
        step=2,
    )


@models.add("http")
class HttpModel(Served):
    """Calls a REST API once for each event, or with `batched` once for several.

    The body is `body`, else the inputs by name, else the enriched event. The reply is JSON, of which `reply`
    takes a part. No address is made from an event: where a path or a parameter depends on one, the document
    lists the values.
    """

    protocol: ClassVar[str] = "http"
    to_batch: ClassVar[str] = "batched: true"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model behind a REST API."""

        http: str = key(Text(), "Where it is.", example='"https://scores.example/v2"', step=2)
        method: str = key(
            Choice(("GET", "POST", "PUT", "PATCH")), "The HTTP method.", default="POST", example="PUT", step=2
        )
        path: str | Chosen = key(
            OneOf((Text(_PATH), Nested(Chosen))),
            "Appended to the address.",
            default="",
            example="/score",
            step=2,
        )
        query: Mapping[str, str | Chosen] = key(
            MapOf(OneOf((Text(), Nested(Chosen)))),
            "Parameters of the address.",
            default={},
            example="{mode: fast}",
            step=2,
        )
        headers: Mapping[str, Program] = key(
            MapOf(Expression("string")),
            "Headers; secrets belong to the endpoint's `auth`.",
            default={},
            example="{X-Country: event.country}",
            step=2,
        )
        body: Program | None = key(
            Expression(),
            "What is sent, as JSON.",
            default=None,
            example='\'{"amount": event.amount, "currency": "SGD"}\'',
            step=2,
        )
        reply: Program | None = key(
            Expression(over="reply"),
            "What is taken of the reply.",
            default=None,
            example='"reply.data.scores"',
            step=2,
        )
        batched: bool = key(
            Flag(),
            "Whether one request carries a list of bodies, and its reply is a list as long.",
            default=False,
            example="true",
            step=2,
        )
        health: str | None = key(
            Text(_PATH), "The path that answers whether it is ready.", default=None, example="/health", step=2
        )

    def __init__(self, name: str, config: Config, common: CommonKeys, endpoint: Endpoint) -> None:
        """Args:
        name: The model's name in the document.
        config: Its keys.
        common: The keys of every model.
        endpoint: Where it is.
        """
        super().__init__(common, endpoint)
        self.batches = config.batched
        self._name = name
        self._config = config
        self._inputs = tuple(common.inputs or ())

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> HttpModel:
        """Checks the expressions.

        Raises:
            Misfit: The address cannot be used, or a key contradicts another.
            MissingExtra: httptools is not installed.
        """
        where = Endpoint.of(name, config.http, endpoint)
        if config.body is not None and common.inputs is not None:
            raise Misfit("E402", "both 'inputs' and 'body' say what is sent", "keep one of them", ("body",))
        if config.batched and (config.method == "GET" or list(_shaped(config))):
            text = "a batch has one address and one set of headers for all its rows"
            raise Misfit("E402", text, "leave out batched, or what depends on the event", ("batched",))
        event_only(common.inputs, _programs(config))
        for header in config.headers:
            if header.lower() in _OURS or not _HEADER.fullmatch(header):
                text = f"'{header}' is not a header that an expression sets"
                raise Misfit(
                    "E402", text, "who is calling belongs to the endpoint's auth", ("headers", header)
                )
        where.hide(_constants(config))
        return cls(name, config, common, where)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{http: "http://localhost:8000", path: /score, inputs: {amount: event.amount}}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One request, for the one row, or for all whose body can be made."""
        if not self._config.batched:
            return [await self._one(rows[0], ask)]
        bodies: dict[int, Any] = {}
        replies: list[Any] = [None] * len(rows)
        for place, row in enumerate(rows):
            try:
                bodies[place] = self._body(row)
                body_of(bodies[place])
            except InvalidInput as error:
                replies[place] = error
                bodies.pop(place, None)
        if not bodies:
            return replies
        names = names_of(rows[min(bodies)])
        answer = await self._send(names, list(bodies.values()), ask)
        for place, reply in zip(bodies, one_each(self._name, "reply", answer, len(bodies)), strict=True):
            replies[place] = reply
        return replies

    async def _one(self, row: Row, ask: Ask) -> Any:
        return await self._send(names_of(row), None if self._config.method == "GET" else self._body(row), ask)

    def _body(self, row: Row) -> Any:
        """What is sent for one row."""
        if self._config.body is not None:
            return given("body", self._config.body, names_of(row))
        if isinstance(row, dict):
            return row
        bad: dict[int, str] = {}
        body = {name: json_value(name, one, 0, bad) for name, one in zip(self._inputs, row, strict=True)}
        if bad:
            raise InvalidInput(f"model '{self._name}': {bad[0]}")
        return body

    async def _send(self, names: Mapping[str, Any], body: Any, ask: Ask) -> Any:
        config = self._config
        path = config.path if isinstance(config.path, str) else _choice("path", config.path, names)
        query = "&".join(
            f"{quoted(name)}={quoted(value if isinstance(value, str) else _choice(name, value, names))}"
            for name, value in config.query.items()
        )
        answer = await post(
            self._endpoint,
            path + (f"?{query}" if query else ""),
            None if config.method == "GET" else body_of(body),
            ask,
            method=config.method,
            headers={name: _header(name, one, names) for name, one in config.headers.items()},
        )
        found = json_of(answer)
        return found if config.reply is None else taken("reply", config.reply, found, names)

    async def health(self) -> Health:
        """Asks the path of `health`; without one, any answer of the server will do."""
        path = self._config.health
        why, _ = await readiness(self._endpoint, path or "/", self._timeout)
        if path is None:
            return Health(True, note="the server answers; without 'health' it cannot be asked for the model")
        return Health(not why, why=why, note="" if why else f"the server answers {path}")


def _shaped(config: HttpModel.Config) -> Iterator[tuple[tuple[str, ...], Program]]:
    """The expressions that shape the address and the headers by the event."""
    if isinstance(config.path, Chosen):
        yield ("path", "choose"), config.path.choose
    for name, value in config.query.items():
        if isinstance(value, Chosen):
            yield ("query", name, "choose"), value.choose
    for name, program in config.headers.items():
        if program.reads:
            yield ("headers", name), program


def _programs(config: HttpModel.Config) -> Iterator[tuple[tuple[str, ...], Program]]:
    """All expressions, each with its place."""
    yield from _shaped(config)
    if config.body is not None:
        yield ("body",), config.body
    if config.reply is not None:
        yield ("reply",), config.reply


def _constants(config: HttpModel.Config) -> Iterator[str]:
    """What every request shows to the server besides its body; some of it may be a key."""
    if isinstance(config.path, str):
        yield config.path
    yield from (value for value in config.query.values() if isinstance(value, str))
    for program in config.headers.values():
        yield from (program.text[start:end] for start, end, _ in program.hidden)
        if not program.reads:
            with suppress(EvalError):
                yield str(program.evaluate({}))


def _choice(what: str, chosen: Chosen, names: Mapping[str, Any]) -> str:
    """The value that the event chooses, if it is listed."""
    value = given(what, chosen.choose, names)
    if value not in chosen.among:
        raise InvalidInput(f"{what} ({chosen.choose.shown()}) gives a value that the document does not list")
    return str(value)


def _header(name: str, program: Program, names: Mapping[str, Any]) -> str:
    value = given(f"header {name}", program, names)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise InvalidInput(f"header {name} ({program.shown()}) is not printable ASCII text")
    return value
