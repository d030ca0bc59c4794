"""Messages made of a few lines of text."""

from __future__ import annotations

import sys

import pytest

from pointsman.base.errors import InvalidReply, MissingExtra
from pointsman.model import open_inference_grpc, tensorflow_serving_grpc
from pointsman.model.protos import messages, parsed

TEXT = """
message Shape {
  enum Kind { ROUND = 0; LONG = 2; }
  message Side { double length = 1; }
  Kind kind = 1;
  repeated Side sides = 2;
  map<string, Side> named = 3;
  oneof origin { string place = 4; Point point = 5; }
  repeated int64 packed = 6;
}
message Point { sint32 x = 1; }
"""


def test_every_form_that_we_write_is_read() -> None:
    """Nested messages, enums, repeated fields, maps and oneofs work as protoc's do."""
    text = TEXT.replace("sint32", "int32")
    shape = messages("test.forms", text)["Shape"](kind="LONG", packed=[1, 2])
    shape.sides.add(length=1.5)
    shape.named["top"].length = 2.5
    shape.place = "here"
    shape.point.x = 3
    assert shape.WhichOneof("origin") == "point"
    assert shape.SerializeToString(deterministic=True) == (
        b"\x08\x02\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"
        b"\x1a\x10\x0a\x03top\x12\x09\x09\x00\x00\x00\x00\x00\x00\x04\x40"
        b"\x2a\x02\x08\x03\x32\x02\x01\x02"
    )


def test_messages_are_made_once() -> None:
    """Two models share the classes, so that messages of one fit the other."""
    again = messages("inference", open_inference_grpc.PROTO)
    assert again is messages("inference", open_inference_grpc.PROTO)


def test_the_texts_are_those_of_protoc(tmp_path_factory: pytest.TempPathFactory) -> None:
    """protoc reads our texts as we do: the same descriptors come out."""
    from google.protobuf import descriptor_pb2

    from pointsman.model.proto_files import _compiled

    for package, text in (
        ("inference", open_inference_grpc.PROTO),
        ("tensorflow.serving", tensorflow_serving_grpc.PROTO),
    ):
        folder = tmp_path_factory.mktemp("proto")
        (folder / "x.proto").write_text(f'syntax = "proto3";\npackage {package};\n{text}')
        compiled = descriptor_pb2.FileDescriptorSet.FromString(_compiled(folder / "x.proto", folder)).file[0]
        for message in compiled.message_type:
            ours = descriptor_pb2.DescriptorProto()
            messages(package, text)[message.name].DESCRIPTOR.CopyToProto(ours)
            _without_json_names(message)
            _without_json_names(ours)
            assert ours == message


def _without_json_names(message: object) -> None:
    for field in message.field:  # type: ignore[attr-defined]  # a DescriptorProto
        field.ClearField("json_name")
    for nested in message.nested_type:  # type: ignore[attr-defined]  # as above
        _without_json_names(nested)


def test_what_is_no_message_is_refused() -> None:
    """Bytes that protobuf cannot read are an invalid reply."""
    with pytest.raises(InvalidReply, match="not a Point"):
        parsed(messages("test.forms", TEXT.replace("sint32", "int32"))["Point"], b"\xff\xff")


def test_without_protobuf_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package gives the line that installs it."""
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[grpc\]'"):
        messages("test.missing", "message A { int32 x = 1; }")
