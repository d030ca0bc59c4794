"""What the Schema Registry of a document says: for `check --live`, and for `send`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pointsman.base.errors import EnvironmentFault, Finding, UsageError
from pointsman.codec.base import codecs
from pointsman.codec.readers import Unusable
from pointsman.codec.registry import Schema, SchemaRegistry, UnknownSchema
from pointsman.codec.shape import misfits
from pointsman.spec.read import nearest

if TYPE_CHECKING:
    from pointsman.spec.document import Document
    from pointsman.spec.keys import Source

__all__ = ["encoder_of", "schema_findings"]

_KINDS: Final = {"avro": "AVRO", "protobuf": "PROTOBUF", "json_schema": "JSON"}


def schema_findings(document: Document) -> list[Finding]:
    """Where the newest schemas of the source's topics are not what the document says."""
    source = document.source
    if source.registry is None or source.format not in _KINDS:
        return []
    registry = SchemaRegistry(source.registry)
    found: list[Finding] = []
    for number, topic in enumerate(source.topics):
        subject = source.registry.subject or f"{topic}-value"
        try:
            schema = registry.latest(subject)
        except EnvironmentFault as fault:
            return [document.where(("source", "registry", "url")).finding("E505", str(fault), "")]
        except UnknownSchema:
            hint = "register it (`pointsman send --schema FILE` does), or name its subject under registry"
            message = f"the Schema Registry has no subject '{subject}'"
            found.append(document.where(("source", "topics", number)).finding("E505", message, hint))
            continue
        found += _differences(document, subject, schema)
        if source.registry.subject is not None:
            break
    return found


def _differences(document: Document, subject: str, schema: Schema) -> list[Finding]:
    source = document.source
    wanted = _KINDS[source.format]
    if schema.kind != wanted:
        message = f"the newest schema of '{subject}' is {schema.kind}, format {source.format} reads {wanted}"
        return [document.where(("source", "format")).finding("E506", message, "correct format")]
    try:
        shape = _codec(source).shape(schema)
    except Unusable as error:
        message = f"the newest schema of '{subject}' cannot be read: {error}"
        return [document.where(("source", "format")).finding("E506", message, "")]
    fields = source.fields or {}
    found = []
    for name, kinds in misfits(shape, fields):
        message = f"'{name}' is {kinds} in the newest schema of '{subject}', declared {fields[name]}"
        found.append(document.where(("source", "fields", name)).finding("E506", message, "correct the type"))
    for name in fields:
        if shape and name not in shape:
            near = nearest(name, list(shape))
            hint = f"did you mean '{near}'?" if near else f"it has {', '.join(shape)}"
            message = f"the newest schema of '{subject}' has no field '{name}'"
            place = document.where(("source", "fields", name))
            found.append(place.finding("W507", message, hint, "warning"))
    return found


def encoder_of(source: Source, topic: str, file: Path | None) -> Callable[[bytes], bytes] | None:
    """From an event's JSON to a value as the source reads it; None where that is the JSON itself.

    Args:
        source: What reads the events.
        topic: Where they go.
        file: A schema to register first; None: the newest one of the topic's subject.

    Raises:
        UsageError: There is no schema, or the format takes none.
        EnvironmentFault: The registry cannot be asked, or does not take the schema.
    """
    if source.registry is None or source.format not in _KINDS:
        if file is not None:
            raise UsageError(
                f"--schema is for events of a Schema Registry, and the format is {source.format}"
            )
        return None
    registry = SchemaRegistry(source.registry)
    subject = source.registry.subject or f"{topic}-value"
    try:
        if file is None:
            schema = registry.latest(subject)
        else:
            text = file.read_text("utf-8")
            schema = registry.register(subject, _KINDS[source.format], text)
        encode = _codec(source).encoder(schema)
    except UnknownSchema:
        raise UsageError(
            f"the Schema Registry has no subject '{subject}': name a schema to register with --schema FILE"
        ) from None
    except Unusable as error:
        raise UsageError(f"the schema of '{subject}' cannot be used: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--schema {file} cannot be read: {error}") from None
    return lambda value: _encoded(encode, value)


def _encoded(encode: Callable[[dict[str, Any]], bytes], value: bytes) -> bytes:
    try:
        event = json.loads(value)
        if not isinstance(event, dict):
            raise ValueError("it is not a JSON object")
        return encode(event)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{value[:80].decode(errors='replace')}: {error}") from None


def _codec(source: Source) -> Any:
    """The format's class: those of a registry have `shape` and `encoder` too."""
    return codecs.get(source.format)
