"""`mlflow: ADDRESS`: a model that `mlflow models serve` or a compatible server answers for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pointsman.base.config import Anything, Choice, MapOf, Text, key
from pointsman.base.errors import ModelError
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.feed import ANY, TensorKeys, tensors_key
from pointsman.model.jsonrows import columns, form_of, instances, member, one_each
from pointsman.model.mapping import Fed, Feeds
from pointsman.model.remote import Ask, Health
from pointsman.model.rest import body_of, json_of, post, readiness
from pointsman.model.served import Served

__all__ = ["MLflow"]


_RELEASE: Final = re.compile(r"[0-9][0-9A-Za-z.]{0,30}")
"""What `/version` says: the release of MLflow, as text."""


@models.add("mlflow")
class MLflow(Served):
    """Sends rows to `/invocations`; a reply is what stands for the row in `predictions`.

    By default rows are a table with the inputs as columns (`dataframe_split`), which every flavour takes that
    was trained on a table; `instances` and `inputs` send tensors. The server names no version in its replies.

    References:
        MLflow, "Deploy MLflow Model as a Local Inference Server", https://mlflow.org/docs/latest/.
    """

    protocol: ClassVar[str] = "mlflow"
    tensor: ClassVar[bool] = True
    """Its inputs have to be named."""
    batches: ClassVar[bool] = True

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model behind MLflow's scoring server."""

        mlflow: str = key(Text(), "Where it is.", example='"http://localhost:5000"', step=2)
        form: str = key(
            Choice(("dataframe_split", "instances", "inputs")),
            "How rows are sent: a table, a list of rows by name, or a list for each input.",
            default="dataframe_split",
            example="inputs",
            step=2,
        )
        tensors: Mapping[str, TensorKeys] = tensors_key(
            "What values are made of, where they are not simply the inputs."
        )
        params: Mapping[str, Any] = key(
            MapOf(Anything()),
            "Parameters of each request, as the model's signature names them.",
            default={},
            example="{threshold: 0.5}",
            step=2,
        )

    def __init__(
        self, name: str, config: Config, common: CommonKeys, feeds: Feeds, endpoint: Endpoint
    ) -> None:
        """Args:
        name: The model's name in the document.
        config: Its keys.
        common: The keys of every model.
        feeds: How inputs become values.
        endpoint: Where it is.
        """
        super().__init__(common, endpoint)
        self.feeds = feeds
        self._name = name
        self._config = config

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> MLflow:
        """Reads the mapping.

        Raises:
            Misfit: The address or the mapping cannot be.
            MissingExtra: httptools is not installed.
        """
        where = Endpoint.of(name, config.mlflow, endpoint)
        feeds = Feeds.open(name, common.inputs, config.tensors, open_dtype=ANY)
        form_of(None, feeds, "form")
        return cls(name, config, common, feeds, where)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{mlflow: "http://localhost:5000", inputs: {amount: event.amount, spend: event.spend}}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One invocation for the rows that fit."""
        fed = self.feeds.build(rows)
        if not fed.tensors:
            return fed.spread(())
        request = {self._config.form: self._content(fed)}
        if self._config.params:
            request["params"] = self._config.params
        answer = json_of(await post(self._endpoint, "/invocations", body_of(request), ask))
        return fed.spread(self._replies(member(answer, "predictions"), len(fed.places)))

    def _content(self, fed: Fed) -> Any:
        names = [named.feed.name for named in fed.tensors]
        if self._config.form == "dataframe_split":
            return {"columns": names, "data": instances(fed, "list")}
        if self._config.form == "inputs":
            found = columns(fed)
            return found[0] if len(names) == 1 else dict(zip(names, found, strict=True))
        return instances(fed, "value" if len(names) == 1 else "map")

    def _replies(self, found: Any, n: int) -> Sequence[Any]:
        """The predictions row by row; a model of several outputs may give a list for each of them."""
        if not isinstance(found, dict) or not found:
            return one_each(self._name, "predictions", found, n)
        lists = [one_each(self._name, str(name), values, n) for name, values in found.items()]
        return [dict(zip(found, row, strict=True)) for row in zip(*lists, strict=True)]

    async def health(self) -> Health:
        """Asks whether the server is up; it declares no inputs."""
        why, _ = await readiness(self._endpoint, "/ping", self._timeout)
        if why:
            return Health(False, why=why)
        ask = Ask(self._timeout, (), {})
        answer = await post(self._endpoint, "/version", None, ask, method="GET", anyway=True)
        release = answer.body.decode("utf-8", "replace") if answer.status == 200 else ""
        server = f"MLflow {release}" if _RELEASE.fullmatch(release) else "the server"
        return Health(True, note=f"{server} answers /ping, and the protocol declares no inputs")
