"""Messages of a user's own .proto file or descriptor set, and their values as plain Python."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import InvalidInput, Misfit, MissingExtra
from pointsman.cel.values import Duration, Mistyped, Optional, Timestamp, TypeValue, Uint, key_out
from pointsman.model.protos import Message

__all__ = ["Filler", "Method", "field_at", "method_of", "plain_message", "type_of"]

Method = Any
"""The descriptor of a method."""

_WELL_KNOWN: Final = (
    "any",
    "api",
    "duration",
    "empty",
    "field_mask",
    "struct",
    "timestamp",
    "type",
    "wrappers",
)
"""Files of `google/protobuf/` that every descriptor set may use without containing them."""

_AS_JSON: Final = frozenset(
    {"Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value", "BoolValue", "BytesValue"}
    | {"DoubleValue", "FloatValue", "StringValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value"}
)
"""Messages that stand for a value of their own."""


def method_of(path: Path, name: str, folder: Path) -> tuple[Method, Any, Any]:
    """A method that a file declares, with the classes of its request and reply.

    Args:
        path: A `.proto` file, or a descriptor set (`protoc --descriptor_set_out --include_imports`).
        name: Such as `scoring.Scorer/Score`.
        folder: Where imports are looked for, besides the file's own folder.

    Raises:
        Misfit: The file cannot be used, or has no such unary method.
        MissingExtra: protobuf or grpcio-tools is not installed.
    """
    try:
        from google.protobuf import message_factory
    except ModuleNotFoundError:
        raise MissingExtra("a model behind gRPC", "grpc") from None
    pool, services = _pool(path, folder)
    known = {
        f"{service.full_name}/{method.name}": method for service in services for method in service.methods
    }
    if name not in known:
        listed = ", ".join(sorted(known)) or "no service"
        raise Misfit("E443", f"{path.name} has no method '{name}'", f"it has {listed}", ("method",))
    method = known[name]
    if method.client_streaming or method.server_streaming:
        text = f"'{name}' streams; one request has to give one reply"
        raise Misfit("E443", text, "name a unary method", ("method",))
    get = message_factory.GetMessageClass
    kinds = get(method.input_type), get(method.output_type)
    kinds[0].pointsman_pool = pool  # descriptors do not keep their pool alive
    return method, *kinds


def _pool(path: Path, folder: Path) -> tuple[Any, list[Any]]:
    """A pool with all files of a set, and the services they declare."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.message import DecodeError

    content = _compiled(path, folder) if path.suffix == ".proto" else path.read_bytes()
    try:
        files = {f.name: f for f in descriptor_pb2.FileDescriptorSet.FromString(content).file}
    except DecodeError:
        files = {}
    if not files:
        hint = "make it with protoc --include_imports --descriptor_set_out, or name the .proto file"
        raise Misfit("E443", f"{path.name} is not a descriptor set", hint, ("proto",))
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        file = files.get(name) or _well_known(name)
        if file is None:
            hint = "make it with protoc --include_imports"
            raise Misfit("E443", f"{path.name} lacks '{name}', which it imports", hint, ("proto",))
        for imported in file.dependency:
            add(imported)
        try:
            pool.AddSerializedFile(file.SerializeToString())
        except TypeError as error:
            raise Misfit("E443", f"{path.name}: {error}", "make it anew", ("proto",)) from None

    for name in files:
        add(name)
    found = [pool.FindFileByName(name) for name in files]
    return pool, [service for file in found for service in file.services_by_name.values()]


def _compiled(path: Path, folder: Path) -> bytes:
    """The descriptor set of a .proto file and what it imports."""
    try:
        import grpc_tools
    except ModuleNotFoundError:
        raise MissingExtra("a .proto file", "grpc") from None
    own = Path(next(iter(grpc_tools.__path__))) / "_proto"
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "set"
        roots = [f"-I{root}" for root in (path.parent, folder, own)]
        command = [sys.executable, "-m", "grpc_tools.protoc", *roots, "--include_imports"]
        done = subprocess.run(
            [*command, f"--descriptor_set_out={out}", str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return out.read_bytes()
    said = next((line for line in done.stderr.splitlines() if "warning" not in line), "it does not compile")
    raise Misfit("E443", said.removeprefix(f"{path.parent}/"), "", ("proto",))


def _well_known(name: str) -> Any:
    """A file of protobuf's own, or None."""
    from importlib import import_module

    from google.protobuf import descriptor_pb2

    stem = name.removeprefix("google/protobuf/").removesuffix(".proto")
    if stem == name or stem not in _WELL_KNOWN:
        return None
    file = descriptor_pb2.FileDescriptorProto()
    import_module(f"google.protobuf.{stem}_pb2").DESCRIPTOR.CopyToProto(file)
    return file


def field_at(message: Any, path: str) -> Any:
    """The field of a message's descriptor that a dotted path names.

    Raises:
        Misfit: There is none.
    """
    field = None
    for step in path.split("."):
        if field is not None:
            message = None if _repeated(field) else field.message_type
        if message is None or step not in message.fields_by_name:
            has = (
                "is not a message"
                if message is None
                else f"has {', '.join(message.fields_by_name) or 'no fields'}"
            )
            owner = path.rpartition(f".{step}")[0] if message is None else message.full_name
            raise Misfit("E402", f"there is no field '{path}'", f"{owner} {has}", ("inputs", path))
        field = message.fields_by_name[step]
    return field


class Filler:
    """Makes the messages of one kind from rows of values."""

    def __init__(self, kind: Message, paths: Sequence[str]) -> None:
        """Args:
        kind: The message's class.
        paths: The field of each value, in a row's order; they exist.
        """
        self._kind = kind
        self._places = [
            (tuple(path.split(".")), _EXACT.get(type_of(field_at(kind.DESCRIPTOR, path)), ()))
            for path in paths
        ]

    def __call__(self, values: Sequence[Any]) -> Message:
        """A message with a value at each path; null leaves a field as it is.

        Raises:
            InvalidInput: A value does not fit its field.
        """
        from google.protobuf import json_format

        message = self._kind()
        rest: dict[str, Any] = {}
        try:
            for ((*outer, last), exact), value in zip(self._places, values, strict=True):
                if value.__class__ in exact:
                    into = message
                    for step in outer:
                        into = getattr(into, step)
                    setattr(
                        into, last, value.encode() if exact is _BYTES and value.__class__ is str else value
                    )
                else:
                    at = rest
                    for step in outer:
                        at = at.setdefault(step, {})
                    at[last] = _json(value)
            if rest:
                message.MergeFrom(json_format.ParseDict(rest, self._kind()))
        except (json_format.ParseError, ValueError, TypeError, OverflowError) as error:
            said = " ".join(str(error).split())[:300]
            text = f"the inputs do not fit {self._kind.DESCRIPTOR.full_name}: {said}"
            raise InvalidInput(text) from None
        return message


_BYTES: Final = (bytes, str)

_EXACT: Final[Mapping[str, tuple[type[Any], ...]]] = {
    "TYPE_DOUBLE": (float, int),
    "TYPE_FLOAT": (float, int),
    "TYPE_STRING": (str,),
    "TYPE_BOOL": (bool,),
    "TYPE_BYTES": _BYTES,
    **{f"TYPE_{kind}": (int,) for kind in ("INT32", "INT64", "UINT32", "UINT64", "SINT32", "SINT64")},
}
"""Types whose values are set as they are; the others go the slower way through protobuf's JSON."""


def type_of(field: Any) -> str:
    """The name of a field's type, `repeated` where it holds several."""
    if _repeated(field):
        return "repeated"
    return next(
        name for name in dir(field) if name.startswith("TYPE_") and getattr(field, name) == field.type
    )


def _json(value: Any) -> Any:
    """A value of an expression in protobuf's JSON."""
    kind = value.__class__
    if kind is float:
        return value if value - value == 0 else _non_finite(value)
    if kind in (str, int, bool, type(None)):
        return value
    if kind in (bytes, bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key_out(name)): _json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_json(member) for member in value]
    if isinstance(value, Timestamp | Duration):
        return str(value)
    if isinstance(value, Uint):
        return int(value)
    if isinstance(value, Mistyped | Optional):
        return _json(value.value)
    if isinstance(value, TypeValue):
        return value.name
    raise InvalidInput(f"a {kind.__name__} cannot be sent")


def _non_finite(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def plain_message(message: Message) -> Any:
    """A message as JSON-like values, by field name.

    Integers stay integers, an enum is its name, bytes are base64, a time is a string. What has presence and
    was not set is left out; the rest has its default.
    """
    kind = message.DESCRIPTOR
    if kind.name in _AS_JSON and kind.file.package == "google.protobuf":
        return _as_json(message)
    found: dict[str, Any] = {}
    for field in kind.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if not _repeated(field):
            found[field.name] = _plain(field, value)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            of = field.message_type.fields_by_name["value"]
            found[field.name] = {_map_key(name): _plain(of, value[name]) for name in value}
        else:
            found[field.name] = [_plain(field, member) for member in value]
    return found


def _as_json(message: Message) -> Any:
    from google.protobuf import json_format

    name = message.DESCRIPTOR.name
    if name in ("Int64Value", "UInt64Value"):  # JSON writes these as strings
        return message.value
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _plain(field: Any, value: Any) -> Any:
    """One value of a field."""
    if field.message_type is not None:
        return plain_message(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _map_key(name: Any) -> str:
    return str(name).lower() if isinstance(name, bool) else str(name)


def _repeated(field: Any) -> bool:
    """Whether a field holds several values; older protobuf says it by its label."""
    try:
        return bool(field.is_repeated)
    except AttributeError:
        return bool(field.label == field.LABEL_REPEATED)
