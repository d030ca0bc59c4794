"""`tensorflow_serving: ADDRESS`: a model of TensorFlow Serving, by REST or gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pointsman.base.config import Choice, ListOf, Text, key
from pointsman.base.errors import InvalidReply, Misfit, ModelError
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.feed import ANY, TensorKeys, tensors_key
from pointsman.model.jsonrows import form_of
from pointsman.model.mapping import Fed, Feeds
from pointsman.model.remote import Ask, Health
from pointsman.model.rowwise import rows_along
from pointsman.model.served import Served
from pointsman.model.tensorflow_serving_grpc import TensorFlowServingGrpc
from pointsman.model.tensorflow_serving_rest import TensorFlowServingRest
from pointsman.model.wire import wire

__all__ = ["TensorFlowServing"]


@models.add("tensorflow_serving")
class TensorFlowServing(Served):
    """Sends named tensors to a signature and gives each row its part of the outputs.

    Each input is a tensor of the shape [rows], unless `tensors` says otherwise. With gRPC a reply is a map of
    the outputs by name; with REST the server writes a signature's only output without its name, and the reply
    is that value. `version` or `label` choose among the versions that are loaded; the newest is the default.
    """

    protocol: ClassVar[str] = "tensorflow_serving"
    to_batch: ClassVar[str] = "an axis for each of 'tensors'"
    tensor: ClassVar[bool] = True
    """Its inputs have to be named."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model of TensorFlow Serving."""

        tensorflow_serving: str = key(
            Text(),
            "Where it is: http:// and https:// are REST, grpc:// and grpcs:// are gRPC.",
            example='"grpc://localhost:8500"',
            step=2,
        )
        label: str | None = key(
            Text(), "The label of the version, in place of `version`.", default=None, example="stable", step=2
        )
        signature: str | None = key(
            Text(), "The signature; `serving_default` by default.", default=None, example="score", step=2
        )
        form: str = key(
            Choice(("row", "column")),
            "With REST, whether the inputs are sent row by row or each as a whole.",
            default="row",
            example="column",
            step=2,
        )
        tensors: Mapping[str, TensorKeys] = tensors_key(
            "The tensors by name, where they are not simply the inputs."
        )
        take: Sequence[str] = key(
            ListOf(Text()),
            "The outputs that are kept; all by default.",
            default=(),
            example="[score]",
            step=2,
        )

    def __init__(
        self, name: str, config: Config, common: CommonKeys, feeds: Feeds, endpoint: Endpoint
    ) -> None:
        """Args:
        name: The model's name in the document.
        config: Its keys.
        common: The keys of every model.
        feeds: How inputs become tensors.
        endpoint: Where it is.
        """
        super().__init__(common, endpoint)
        self.batches = feeds.batches
        self.feeds = feeds
        self._name = name
        self._take = config.take
        self._fixed = common.version is not None
        self._server: TensorFlowServingGrpc | TensorFlowServingRest
        at_server, version, label, signature = (
            common.model or name,
            common.version,
            config.label,
            config.signature,
        )
        if endpoint.grpc:
            from pointsman.model.grpc_channel import channel_of

            number = None if version is None else int(version)
            self._server = TensorFlowServingGrpc(channel_of(endpoint), at_server, number, label, signature)
        else:
            column = config.form == "column"
            self._server = TensorFlowServingRest(endpoint, name, at_server, version, label, signature, column)

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> TensorFlowServing:
        """Reads the mapping.

        Raises:
            Misfit: The address, the version or the mapping cannot be.
            MissingExtra: httptools, or grpcio, is not installed.
        """
        where = Endpoint.of(name, config.tensorflow_serving, endpoint, grpc=True)
        if common.version is not None and config.label is not None:
            raise Misfit(
                "E402", "both 'version' and 'label' choose a version", "keep one of them", ("label",)
            )
        if common.version is not None and not (common.version.isascii() and common.version.isdigit()):
            text = f"the version '{common.version}' is not a number"
            raise Misfit("E402", text, "its versions are numbers; a name is a 'label'", ("version",))
        open_dtype = "float64" if where.grpc else ANY
        feeds = Feeds.open(name, common.inputs, config.tensors, open_dtype=open_dtype, finite=not where.grpc)
        if not where.grpc and config.form == "row":
            form_of(None, feeds, "form")
        return cls(name, config, common, feeds, where)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{tensorflow_serving: "http://localhost:8501", model: fraud, inputs: {amount: event.amount}}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One prediction of the rows that fit."""
        fed = self.feeds.build(rows)
        if not fed.tensors:
            return fed.spread(())
        if isinstance(self._server, TensorFlowServingRest):
            return fed.spread(await self._server.predict(fed, ask, self._take))
        return fed.spread(await self._by_grpc(self._server, fed, ask))

    async def _by_grpc(self, server: TensorFlowServingGrpc, fed: Fed, ask: Ask) -> Sequence[Any]:
        tensors = [wire(named) for named in fed.tensors]
        answer = await server.predict(tensors, timeout=ask.timeout, trace=ask.trace, outputs=self._take)
        if answer.model_version and not self._fixed:
            self.version = answer.model_version
        if not answer.outputs:
            raise InvalidReply(f"model '{self._name}': the reply has no outputs")
        n = len(fed.places) if self.batches else None
        lists = [rows_along(self._name, one.name, one.values, one.shape, n) for one in answer.outputs]
        names = [one.name for one in answer.outputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]

    async def health(self) -> Health:
        """Asks for the model's status and its metadata."""
        return await self._server.health(self._timeout)
