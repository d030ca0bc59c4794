"""`kafka_rest: ADDRESS`: each event to a topic through a Kafka REST proxy; nobody answers.

References:
    Confluent REST Proxy API v2, `POST /topics/{topic}`; v3, `POST /v3/clusters/{id}/topics/{topic}/records`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from pointsman.base.config import Choice, Text, TopicName, key
from pointsman.base.errors import InvalidInput, InvalidReply, ModelError, ModelInternal, ModelRefused
from pointsman.model.base import DISPATCHED, CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.kafka_record import record_of
from pointsman.model.maps import mapper
from pointsman.model.remote import Ask, Health
from pointsman.model.rest import failure_of, json_of, post, quoted, readiness
from pointsman.model.served import Served

__all__ = ["KafkaRestModel"]

_V2: Final = {
    "Content-Type": "application/vnd.kafka.binary.v2+json",
    "Accept": "application/vnd.kafka.v2+json, application/json",
}
_RETRIABLE: Final = 2
"""What v2 calls an error of one record that may pass."""


@models.add("kafka_rest")
class KafkaRestModel(Served):
    """Writes events to a topic; the result's status is `dispatched` once the proxy says that it is written.

    The record's key is the event's key, else its id; its value is JSON: the inputs by name, or the enriched
    event. Both travel as bytes, so the record is the one that a Kafka client would write. With v3 the record
    also has the headers `pointsman-id` and the trace; with v2, which knows none, a request carries many
    records. Requests may repeat.
    """

    protocol: ClassVar[str] = "kafka_rest"
    to_batch: ClassVar[str] = "api: v2"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a topic behind a REST proxy."""

        kafka_rest: str = key(
            Text(), "Where the proxy is, with its path.", example='"http://localhost:8082"', step=2
        )
        topic: str = key(TopicName(), "The topic.", example="fraud.requests", step=2)
        api: str = key(
            Choice(("v3", "v2")), "The version of the proxy's API.", default="v3", example="v2", step=2
        )
        cluster: str | None = key(
            Text(),
            "With v3, the cluster's id; left out: the one that the proxy names.",
            default=None,
            example="MkU3OEVBNTcwNTJENDM2Qg",
            step=2,
        )

    def __init__(self, config: Config, common: CommonKeys, endpoint: Endpoint) -> None:
        """Args:
        config: The model's own keys.
        common: The model's common keys.
        endpoint: Where the proxy is.
        """
        super().__init__(common, endpoint)
        self.batches = config.api == "v2"
        self._config = config
        self._named = None if common.inputs is None else mapper(tuple(common.inputs))
        self._cluster = config.cluster

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> KafkaRestModel:
        """Takes the address.

        Raises:
            Misfit: It cannot be one.
            MissingExtra: httptools is not installed.
        """
        return cls(config, common, Endpoint.of(name, config.kafka_rest, endpoint))

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{kafka_rest: "http://localhost:8082", topic: fraud.requests}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """Writes the rows: all of them with v2, the one with v3."""
        return await self._v2(rows, ask) if self.batches else [await self._v3(rows[0], ask)]

    async def _v2(self, rows: Sequence[Row], ask: Ask) -> list[Any | ModelError]:
        replies: list[Any | ModelError] = []
        records = []
        for row, ident in zip(rows, ask.ids, strict=True):
            try:
                record_key, value = record_of(row, self._named, ident)
            except InvalidInput as error:
                replies.append(error)
                continue
            records.append({"key": _base64(record_key), "value": _base64(value)})
            replies.append(DISPATCHED)
        if not records:
            return replies
        content = msgspec.json.encode({"records": records})
        path = f"/topics/{quoted(self._config.topic)}"
        said = json_of(await post(self._endpoint, path, content, ask, headers=_V2))
        offsets = said.get("offsets") if isinstance(said, dict) else None
        if not isinstance(offsets, list) or len(offsets) != len(records):
            raise InvalidReply(f"the reply does not hold 'offsets' of {len(records)} records")
        told = iter(offsets)
        return [
            reply if reply is not DISPATCHED else _of_offset(next(told), self._endpoint) for reply in replies
        ]

    async def _v3(self, row: Row, ask: Ask) -> Any:
        record_key, value = record_of(row, self._named, ask.ids[0])
        content = msgspec.json.encode(
            {
                "key": {"type": "BINARY", "data": _base64(record_key)},
                "value": {"type": "BINARY", "data": _base64(value)},
                "headers": [
                    {"name": name, "value": _base64(text.encode("utf-8", "replace"))}
                    for name, text in {"pointsman-id": ask.ids[0], **ask.trace}.items()
                ],
            }
        )
        cluster = self._cluster or await self._asked(ask)
        path = f"/v3/clusters/{quoted(cluster)}/topics/{quoted(self._config.topic)}/records"
        said = json_of(await post(self._endpoint, path, content, ask))
        if not isinstance(said, dict) or "error_code" not in said:
            raise InvalidReply("the reply has no 'error_code'")
        code = said["error_code"]
        if code == 200:
            return DISPATCHED
        status = int(str(code)[:3]) if isinstance(code, int) and code >= 400 else 500
        raise failure_of(status, {}, self._endpoint.scrub(str(said.get("message") or code))[:200])

    async def _asked(self, ask: Ask) -> str:
        """The cluster's id, as the proxy names it."""
        said = json_of(await post(self._endpoint, "/v3/clusters", None, ask, method="GET"))
        found = said.get("data") if isinstance(said, dict) else None
        ids = (
            [one.get("cluster_id") for one in found if isinstance(one, dict)]
            if isinstance(found, list)
            else []
        )
        if len(ids) != 1 or not isinstance(ids[0], str):
            raise ModelRefused(f"the proxy names {len(ids)} clusters: give 'cluster'")
        self._cluster = ids[0]
        return ids[0]

    async def health(self) -> Health:
        """Asks the proxy for the topic.

        Raises:
            ModelError: It could not be asked.
        """
        topic = quoted(self._config.topic)
        if self._config.api == "v2":
            why, _ = await readiness(self._endpoint, f"/topics/{topic}", self._timeout)
        else:
            cluster = self._cluster or await self._asked(Ask(self._timeout, (), {}))
            path = f"/v3/clusters/{quoted(cluster)}/topics/{topic}"
            why, _ = await readiness(self._endpoint, path, self._timeout)
        note = "" if why else "the proxy has the topic; whether somebody reads it cannot be asked"
        return Health(not why, self.version, why=why, note=note)


def _of_offset(told: Any, endpoint: Endpoint) -> Any | ModelError:
    """What v2 says of one record."""
    if not isinstance(told, Mapping):
        return InvalidReply("the reply holds an offset that is no map")
    code = told.get("error_code")
    if code is None and isinstance(told.get("offset"), int):
        return DISPATCHED
    if code is None:
        return InvalidReply("the reply holds neither an offset nor an error for the record")
    text = f"error {code}: {endpoint.scrub(str(told.get('error') or ''))[:200]}"
    return ModelRefused(text) if code == _RETRIABLE else ModelInternal(text)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
