"""`openai: ADDRESS`: chat or embeddings of any server that is compatible with OpenAI's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from pointsman.base.config import Anything, Expression, MapOf, Nested, Number, Text, key
from pointsman.base.errors import InvalidInput, InvalidReply, Misfit, ModelError
from pointsman.cel.program import Program
from pointsman.model.asked import event_only, given, names_of
from pointsman.model.base import CommonKeys, Costed, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.jsonrows import member
from pointsman.model.remote import Ask, Health
from pointsman.model.rest import body_of, json_of, post, quoted, readiness
from pointsman.model.served import Served

__all__ = ["OpenAI", "Price"]

_SHOWN: Final = 10
"""Models that are named where the server has another than the one that is wanted."""

_OURS: Final = frozenset(("input", "messages", "model", "n", "stream"))
"""Parameters that the other keys give."""


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in the unit of your choice."""

    prompt: float = key(Number(0), "A million tokens that are sent.", default=0.0, example="0.15", step=2)
    completion: float = key(
        Number(0), "A million tokens that are answered.", default=0.0, example="0.6", step=2
    )


@models.add("openai")
class OpenAI(Served):
    """Asks a chat model once for each event, or an embeddings model for several at once.

    A chat's reply is a map of `text`, `finish_reason`, `usage` and, where the text is a JSON object and
    `parameters` ask for one, `json`; an embedding's is one of `embedding` and `usage`. With `price`, the
    result says the cost. The version is the document's, else the model that the server names.

    References:
        OpenAI, "API reference", https://platform.openai.com/docs/api-reference.
    """

    protocol: ClassVar[str] = "openai"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model behind an API like OpenAI's."""

        openai: str = key(
            Text(), "Where it is, with the version.", example='"https://api.openai.com/v1"', step=2
        )
        prompt: Program | None = key(
            Expression("string"), "What the user says.", default=None, example="event.text", step=2
        )
        system: str | None = key(
            Text(), "What the model is told first.", default=None, example="Answer yes or no.", step=2
        )
        messages: Program | None = key(
            Expression("list"),
            "All messages, in place of `prompt` and `system`.",
            default=None,
            example='\'[{"role": "user", "content": event.text}]\'',
            step=2,
        )
        embed: Program | None = key(
            Expression("string"),
            "The text to embed, in place of a chat.",
            default=None,
            example="event.text",
            step=2,
        )
        parameters: Mapping[str, Any] = key(
            MapOf(Anything()),
            "Parameters of each request.",
            default={},
            example="{temperature: 0, max_tokens: 16}",
            step=2,
        )
        price: Price | None = key(
            Nested(Price),
            "What tokens cost.",
            default=None,
            example="{prompt: 0.15, completion: 0.6}",
            step=2,
        )

    def __init__(self, name: str, config: Config, common: CommonKeys, endpoint: Endpoint) -> None:
        """Args:
        name: The model's name in the document.
        config: Its keys.
        common: The keys of every model.
        endpoint: Where it is.
        """
        super().__init__(common, endpoint)
        self.batches = config.embed is not None
        self._name = name
        self._model = common.model or name
        self._fixed = common.version is not None
        self._config = config
        form = config.parameters.get("response_format")
        self._json = isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> OpenAI:
        """Checks the expressions.

        Raises:
            Misfit: The address cannot be used, or what is asked is not said once.
            MissingExtra: httptools is not installed.
        """
        where = Endpoint.of(name, config.openai, endpoint)
        if common.inputs is not None:
            text = "a model of 'openai' takes expressions over the event, not inputs"
            raise Misfit("E402", text, "write prompt, messages or embed", ("inputs",))
        asked = {
            one: getattr(config, one)
            for one in ("prompt", "messages", "embed")
            if getattr(config, one) is not None
        }
        if len(asked) != 1:
            found = f"{' and '.join(asked)} are both given" if asked else "nothing is asked"
            raise Misfit("E402", found, "give one of prompt, messages, embed")
        if config.system is not None and "prompt" not in asked:
            raise Misfit("E402", "'system' goes with 'prompt' only", "make it a message", ("system",))
        event_only(None, [((one,), program) for one, program in asked.items()])
        for one in config.parameters:
            if one in _OURS:
                text = f"'{one}' is not a parameter to set here"
                raise Misfit("E402", text, "leave it out", ("parameters", one))
        return cls(name, config, common, where)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{openai: "http://localhost:8000/v1", model: small, prompt: string(event.name)}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One completion for the one row, or one request for the embeddings of all."""
        if self._config.embed is None:
            return [await self._chat(rows[0], ask)]
        texts: dict[int, str] = {}
        replies: list[Any] = [None] * len(rows)
        for place, row in enumerate(rows):
            try:
                texts[place] = _text("embed", self._config.embed, row)
            except InvalidInput as error:
                replies[place] = error
        if texts:
            for place, reply in zip(texts, await self._embed(list(texts.values()), ask), strict=True):
                replies[place] = reply
        return replies

    async def _chat(self, row: Row, ask: Ask) -> Any:
        config = self._config
        if config.messages is not None:
            messages = given("messages", config.messages, names_of(row))
        else:
            messages = [{"role": "user", "content": _text("prompt", config.prompt, row)}]
            if config.system is not None:
                messages.insert(0, {"role": "system", "content": config.system})
        answer = await self._post("/chat/completions", {"messages": messages}, ask)
        choices = member(answer, "choices")
        if not isinstance(choices, list) or not choices:
            raise InvalidReply("the reply has no choice")
        message = member(choices[0], "message")
        text = member(message, "content")
        reply = {"text": text, "finish_reason": choices[0].get("finish_reason"), "usage": _usage(answer)}
        if isinstance(message.get("tool_calls"), list):
            reply["tool_calls"] = message["tool_calls"]
        if self._json:
            reply["json"] = _parsed(text)
        return self._costed(reply, reply["usage"])

    async def _embed(self, texts: list[str], ask: Ask) -> list[Any]:
        answer = await self._post("/embeddings", {"input": texts}, ask)
        data = member(answer, "data")
        if not isinstance(data, list) or len(data) != len(texts):
            found = len(data) if isinstance(data, list) else "no list of"
            raise InvalidReply(f"model '{self._name}': {found} embeddings, expected {len(texts)}")
        vectors = {}
        for place, one in enumerate(data):
            index = one.get("index", place) if isinstance(one, dict) else None
            if isinstance(index, int):
                vectors[index] = member(one, "embedding")
        if set(vectors) != set(range(len(texts))):
            raise InvalidReply(f"model '{self._name}': the embeddings' indices are not 0 to {len(texts) - 1}")
        usage = {name: count / len(texts) for name, count in _usage(answer).items()}
        return [
            self._costed({"embedding": vectors[place], "usage": usage}, usage) for place in range(len(texts))
        ]

    async def _post(self, path: str, request: Mapping[str, Any], ask: Ask) -> Any:
        body = body_of({**self._config.parameters, "model": self._model, **request})
        answer = json_of(await post(self._endpoint, path, body, ask))
        if not self._fixed and isinstance(answer, dict) and isinstance(answer.get("model"), str):
            self.version = answer["model"]
        return answer

    def _costed(self, reply: dict[str, Any], usage: Mapping[str, float]) -> Any:
        price = self._config.price
        if price is None:
            return reply
        sent, answered = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        return Costed(reply, (sent * price.prompt + answered * price.completion) / 1_000_000)

    async def health(self) -> Health:
        """Asks whether the server has the model."""
        why, said = await readiness(self._endpoint, f"/models/{quoted(self._model)}", self._timeout)
        found = said.get("id") if isinstance(said, dict) else None
        if why:  # not every server answers for one model; the list is common to all
            also, said = await readiness(self._endpoint, "/models", self._timeout)
            listed = [] if also else _listed(said)
            if self._model not in listed:
                shown = ", ".join(sorted(listed)[:_SHOWN])
                return Health(False, why=f"{why}; the server lists {shown}" if shown else why)
            found = self._model
        note = "the server lists the model, and the protocol declares no inputs"
        return Health(True, found if isinstance(found, str) else None, note=note)


def _text(what: str, program: Program | None, row: Row) -> str:
    value = None if program is None else given(what, program, names_of(row))
    if not isinstance(value, str):
        raise InvalidInput(f"{what} is not text")
    return value


def _listed(said: Any) -> list[str]:
    """The ids that `/models` lists."""
    data = said.get("data") if isinstance(said, dict) else None
    ids = [one.get("id") for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    return [one for one in ids if isinstance(one, str)]


def _usage(answer: Mapping[str, Any]) -> dict[str, float]:
    """The counts of tokens that the server tells."""
    said = answer.get("usage")
    return {
        name: count
        for name, count in (said.items() if isinstance(said, dict) else ())
        if isinstance(count, int | float) and not isinstance(count, bool)
    }


def _parsed(text: Any) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError):
        raise InvalidReply("the text is not JSON, which response_format asked for") from None
