"""`grpc: ADDRESS`: any unary method of a gRPC server, its request filled by expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pointsman.base.config import FileName, Text, key
from pointsman.base.errors import Misfit, ModelError, ModelRefused
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.grpc_channel import channel_of
from pointsman.model.proto_files import Filler, field_at, method_of, plain_message, type_of
from pointsman.model.protos import Message, messages, parsed
from pointsman.model.remote import Ask, Health
from pointsman.model.served import Served

__all__ = ["GrpcModel"]

_HEALTH: Final = """
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse { int32 status = 1; }
"""
_SERVING: Final = 1


@models.add("grpc")
class GrpcModel(Served):
    """Calls one method, an event at a time.

    Each input is a field of the request, or of a message in it: `user.id`. Messages are given as maps,
    repeated fields as lists, enums by name. A reply is the reply message as a map by field name. Readiness is
    what the server's `grpc.health.v1.Health` says; a server without it is ready when it answers.
    """

    protocol: ClassVar[str] = "grpc"
    tensor: ClassVar[bool] = True
    """Its inputs have to be named."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a gRPC model."""

        grpc: str = key(
            Text(), "The server's address; `grpcs://` with TLS.", example='"grpc://localhost:50051"', step=2
        )
        method: str = key(
            Text(r"[A-Za-z_][\w.]*/[A-Za-z_]\w*"),
            "The method, as `package.Service/Method`.",
            example="scoring.Scorer/Score",
            step=2,
        )
        proto: Path = key(
            FileName(),
            "The .proto file that declares it, or a descriptor set (`protoc --descriptor_set_out`).",
            example="scoring.proto",
            step=2,
        )

    batches: bool = False

    def __init__(
        self,
        endpoint: Endpoint,
        method: tuple[Any, Message, Message],
        paths: Sequence[str],
        common: CommonKeys,
    ) -> None:
        """Args:
        endpoint: Where it is.
        method: The method's descriptor and the classes of its request and reply.
        paths: The field of each value of a row.
        common: The model's common keys.
        """
        super().__init__(common, endpoint)
        descriptor, request, self._reply = method
        self._service = descriptor.containing_service.full_name
        self._path = f"/{self._service}/{descriptor.name}"
        self._filled = Filler(request, paths)
        self._channel = channel_of(endpoint)

    @classmethod
    def open(
        cls, name: str, config: Config, common: CommonKeys, folder: Path, endpoint: Endpoint | None
    ) -> GrpcModel:
        """Reads the .proto file and finds the field of each input.

        Raises:
            Misfit: The file has no such method, or its request no such fields.
            MissingExtra: grpcio is not installed.
        """
        where = Endpoint.of(name, config.grpc, endpoint, grpc=True)
        if not where.grpc:
            hint = f"write grpc://{where.target}, or grpcs:// with TLS"
            raise Misfit("E441", f"a gRPC server's address is not {where.scheme}://", hint, ("grpc",))
        method = method_of(config.proto, config.method, folder)
        request = method[1].DESCRIPTOR
        if common.inputs is None:
            wanted = ", ".join(f"{field.name}: …" for field in request.fields)
            raise Misfit("E402", "a gRPC model needs inputs", f"add inputs: {{{wanted}}}")
        for path, program in common.inputs.items():
            _check_type(path, field_at(request, path), str(getattr(program, "result", "dyn")))
        return cls(where, method, tuple(common.inputs), common)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return (
            '{grpc: "grpc://localhost:50051", method: scoring.Scorer/Score, proto: scoring.proto, '
            "inputs: {amount: event.amount}}"
        )

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One call for the one row."""
        request = self._filled(rows[0])  # type: ignore[arg-type]  # with inputs, rows are tuples
        sent = {**ask.trace, "x-request-id": ask.ids[0]}
        answer = await self._channel.unary(self._path, request.SerializeToString(), ask.timeout, sent)
        return [plain_message(parsed(self._reply, answer))]

    async def health(self) -> Health:
        """Asks the standard health service for this service, else for the whole server."""
        known = messages("grpc.health.v1", _HEALTH)
        for service in (self._service, ""):
            content = known["HealthCheckRequest"](service=service).SerializeToString()
            try:
                answer = await self._channel.unary("/grpc.health.v1.Health/Check", content, self._timeout, {})
            except ModelRefused as error:
                if "gRPC UNIMPLEMENTED" in str(error):
                    break
                if "gRPC NOT_FOUND" not in str(error):
                    raise
                continue
            if parsed(known["HealthCheckResponse"], answer).status != _SERVING:
                return Health(
                    False, self.version, why=f"the server says that {service or 'it'} is not serving"
                )
            return Health(True, self.version, note=f"the server says that {service or 'it'} is serving")
        note = "the server answers; it has no health service that knows the method"
        return Health(True, self.version, note=note)


_ENCODED: Final = ("TYPE_BYTES", "TYPE_INT64", "TYPE_UINT64")
"""Fields besides that take strings: as UTF-8, or as protobuf's JSON writes 64 bits."""

_FITS: Final = {
    "string": frozenset(("TYPE_STRING", "TYPE_ENUM", "TYPE_MESSAGE", *_ENCODED)),
    "bool": frozenset(("TYPE_BOOL", "TYPE_MESSAGE")),
    "bytes": frozenset(("TYPE_BYTES", "TYPE_MESSAGE")),
}
"""Field types that a value of a CEL type can fill, where that is sure before the first event."""


def _check_type(path: str, field: Any, found: str) -> None:
    """Refuses an expression that can never fill its field."""
    wanted = type_of(field)
    fits = wanted in _FITS[found] if found in _FITS else True
    if found in ("int", "uint", "double"):
        fits = wanted not in ("TYPE_STRING", "TYPE_BOOL", "TYPE_BYTES")
    if wanted == "repeated":
        fits = found not in ("string", "bool", "bytes", "int", "uint", "double")
    if not fits:
        text = f"input '{path}' is {found}; the field is {wanted.removeprefix('TYPE_').lower()}"
        raise Misfit("E403", text, "convert it in the expression", ("inputs", path))
