"""`open_inference: ADDRESS`: a model of a V2 server, such as Triton, MLServer or KServe, by REST or gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pointsman.base.config import Anything, Flag, ListOf, MapOf, Text, key
from pointsman.base.errors import InvalidReply, ModelError
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.feed import TensorKeys, tensors_key
from pointsman.model.mapping import Fed, Feeds
from pointsman.model.open_inference_grpc import Inferred, OpenInferenceGrpc
from pointsman.model.open_inference_rest import OpenInferenceRest
from pointsman.model.remote import Ask, Health
from pointsman.model.rowwise import rows_along
from pointsman.model.served import Served
from pointsman.model.wire import wire

__all__ = ["OpenInference"]


@models.add("open_inference")
class OpenInference(Served):
    """Sends named tensors to a model and gives each row its part of the outputs.

    Each input is a tensor of the shape [rows, 1], unless `tensors` says otherwise; several inputs side by
    side make one tensor. A reply is a map of the outputs by name, each with the row's own shape: a number
    where the output is [rows], a list where it is [rows, n]. The version is the document's, which is asked
    for, else the server's word.
    """

    protocol: ClassVar[str] = "open_inference"
    to_batch: ClassVar[str] = "an axis for each of 'tensors'"
    tensor: ClassVar[bool] = True
    """Its inputs have to be named."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model behind the Open Inference Protocol."""

        open_inference: str = key(
            Text(),
            "Where it is: http:// and https:// are REST, grpc:// and grpcs:// are gRPC.",
            example='"http://localhost:8080"',
            step=2,
        )
        tensors: Mapping[str, TensorKeys] = tensors_key(
            "The tensors by name, where they are not simply the inputs."
        )
        take: Sequence[str] = key(
            ListOf(Text()),
            "The outputs that are asked for; all by default.",
            default=(),
            example="[score]",
            step=2,
        )
        parameters: Mapping[str, Any] = key(
            MapOf(Anything()),
            "Parameters of each request, as the server knows them.",
            default={},
            example="{content_type: pd}",
            step=2,
        )
        raw: bool = key(
            Flag(), "With gRPC, whether tensors are sent as raw bytes.", default=False, example="true", step=2
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
        self._config = config
        self._fixed = common.version is not None
        self._server: OpenInferenceGrpc | OpenInferenceRest
        at_server, version = common.model or name, common.version or ""
        if endpoint.grpc:
            from pointsman.model.grpc_channel import channel_of

            self._server = OpenInferenceGrpc(channel_of(endpoint), at_server, version, raw=config.raw)
        else:
            self._server = OpenInferenceRest(endpoint, at_server, version)

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> OpenInference:
        """Reads the mapping.

        Raises:
            Misfit: The address or the mapping cannot be.
            MissingExtra: httptools, or grpcio, is not installed.
        """
        where = Endpoint.of(name, config.open_inference, endpoint, grpc=True)
        feeds = Feeds.open(name, common.inputs, config.tensors, scalar=(1,), finite=not where.grpc)
        return cls(name, config, common, feeds, where)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{open_inference: "http://localhost:8080", model: ios, inputs: {amount: event.amount}}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One inference of the rows that fit."""
        fed = self.feeds.build(rows)
        if not fed.tensors:
            return fed.spread(())
        ident = (
            ask.ids[0] if len(rows) == 1 and ask.ids else f"{ask.ids[0] if ask.ids else ''}+{len(rows) - 1}"
        )
        answer = await self._infer(fed, ident, ask)
        if answer.model_version and not self._fixed:
            self.version = answer.model_version
        return fed.spread(self._replies(answer, len(fed.places)))

    async def _infer(self, fed: Fed, ident: str, ask: Ask) -> Inferred:
        tensors = [wire(named) for named in fed.tensors]
        config = self._config
        more: dict[str, Any] = {"outputs": config.take, "parameters": config.parameters}
        if isinstance(self._server, OpenInferenceRest):
            return await self._server.infer(tensors, id=ident, ask=ask, **more)
        return await self._server.infer(tensors, id=ident, timeout=ask.timeout, trace=ask.trace, **more)

    def _replies(self, answer: Inferred, n: int) -> list[dict[str, Any]]:
        """The outputs row by row."""
        if not answer.outputs:
            raise InvalidReply(f"model '{self._name}': the reply has no outputs")
        columns = [
            rows_along(self._name, one.name, one.values, one.shape, n if self.batches else None)
            for one in answer.outputs
        ]
        names = [one.name for one in answer.outputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    async def health(self) -> Health:
        """Asks whether the model is ready, and for its metadata."""
        return await self._server.health(self._timeout)
