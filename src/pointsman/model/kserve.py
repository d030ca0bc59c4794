"""`kserve: ADDRESS`: a model behind KServe's V1 protocol, a list of instances to a list of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pointsman.base.config import Choice, Text, key
from pointsman.base.errors import ModelError
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.feed import ANY, TensorKeys, tensors_key
from pointsman.model.jsonrows import FORMS, form_of, instances, member, one_each
from pointsman.model.mapping import Feeds
from pointsman.model.remote import Ask, Health
from pointsman.model.rest import body_of, json_of, post, quoted, readiness
from pointsman.model.served import Served

__all__ = ["KServe"]


@models.add("kserve")
class KServe(Served):
    """Sends rows as `instances`; a reply is what stands for the row in `predictions`.

    A row with one input is that value, one with several the list of them, as scikit-learn models take it;
    `row: map` gives them by name. Values go as they are, unless `tensors` gives them a dtype. The protocol
    names no version in its replies.

    References:
        KServe, "V1 Protocol", https://kserve.github.io/website/.
    """

    protocol: ClassVar[str] = "kserve"
    tensor: ClassVar[bool] = True
    """Its inputs have to be named."""
    batches: ClassVar[bool] = True

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model behind KServe's V1 protocol."""

        kserve: str = key(Text(), "Where it is.", example='"http://localhost:8080"', step=2)
        row: str | None = key(
            Choice(FORMS),
            "How a row is written: its values in a list, a map by name, or its only value alone.",
            default=None,
            example="map",
            step=2,
        )
        tensors: Mapping[str, TensorKeys] = tensors_key(
            "What values are made of, where they are not simply the inputs."
        )

    def __init__(self, name: str, common: CommonKeys, feeds: Feeds, form: str, endpoint: Endpoint) -> None:
        """Args:
        name: The model's name in the document.
        common: The keys of every model.
        feeds: How inputs become values.
        form: How a row is written.
        endpoint: Where it is.
        """
        super().__init__(common, endpoint)
        self.feeds = feeds
        self._name = name
        self._form = form
        self._path = f"/v1/models/{quoted(common.model or name)}"

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> KServe:
        """Reads the mapping.

        Raises:
            Misfit: The address or the mapping cannot be.
            MissingExtra: httptools is not installed.
        """
        where = Endpoint.of(name, config.kserve, endpoint)
        feeds = Feeds.open(name, common.inputs, config.tensors, open_dtype=ANY)
        return cls(name, common, feeds, form_of(config.row, feeds, "row"), where)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{kserve: "http://localhost:8080", model: income, inputs: {amount: event.amount}}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One prediction of the rows that fit."""
        fed = self.feeds.build(rows)
        if not fed.tensors:
            return fed.spread(())
        body = body_of({"instances": instances(fed, self._form)})
        answer = json_of(await post(self._endpoint, f"{self._path}:predict", body, ask))
        found = member(answer, "predictions")
        return fed.spread(one_each(self._name, "predictions", found, len(fed.places)))

    async def health(self) -> Health:
        """Asks whether the model is ready; the protocol declares no inputs."""
        why, said = await readiness(self._endpoint, self._path, self._timeout)
        if not why and isinstance(said, dict) and str(said.get("ready")).lower() == "false":
            why = "the server says that it is not ready"
        note = (
            "" if why else "the server says that the model is ready, and the V1 protocol declares no inputs"
        )
        return Health(not why, why=why, note=note)
