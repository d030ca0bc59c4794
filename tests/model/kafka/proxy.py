"""A Kafka REST proxy for tests, written from the API's documentation: no package registry has a real one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from model.faults import Speaker

__all__ = ["CLUSTER", "Proxy"]

CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"


class Proxy:
    """Answers as v2 and v3 do, and hands what was produced to `produce`.

    Attributes:
        per_record: For v2: the error of a record by its value, as (error_code, text).
    """

    def __init__(
        self, produce: Callable[[str, bytes | None, bytes, dict[str, bytes]], None] | None = None
    ) -> None:
        self._produce = produce or (lambda *_: None)
        self.per_record: dict[bytes, tuple[int, str]] = {}
        self.offset = 0

    @property
    def speaker(self) -> Speaker:
        """As the faulty server takes it."""
        return self.answer

    def answer(self, method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
        """From a request to status and reply."""
        parts = path.strip("/").split("/")
        if method == "GET" and parts == ["v3", "clusters"]:
            return 200, {
                "kind": "KafkaClusterList",
                "data": [{"kind": "KafkaCluster", "cluster_id": CLUSTER}],
            }
        if method == "GET":
            if fault == "not_ready" or parts[-1] == "absent":
                return 404, {
                    "error_code": 40403,
                    "message": "This server does not host this topic-partition.",
                }
            return 200, {"topic_name": parts[-1], "name": parts[-1]}
        if parts[0] == "topics":
            return self._v2(parts[1], body, fault)
        assert parts[:2] + parts[3:4] + parts[5:] == ["v3", "clusters", "topics", "records"]
        return self._v3(parts[2], parts[4], body)

    def _v2(self, topic: str, body: Any, fault: str) -> tuple[int, Any]:
        offsets = []
        for record in body["records"]:
            value = base64.b64decode(record["value"])
            code, text = self.per_record.get(value, (None, None))
            if code is None:
                self._produce(topic, base64.b64decode(record["key"]), value, {})
            place = {"partition": 0, "offset": self.offset} if code is None else {}
            offsets.append({**place, "error_code": code, "error": text})
            self.offset += 1
        if fault == "wrong_length":
            offsets.append(offsets[-1])
        return 200, {"key_schema_id": None, "value_schema_id": None, "offsets": offsets}

    def _v3(self, cluster: str, topic: str, body: Any) -> tuple[int, Any]:
        if cluster != CLUSTER:
            return 404, {"error_code": 404, "message": f"Cluster {cluster} cannot be found."}
        if topic == "absent":
            return 200, {"error_code": 40403, "message": "This server does not host this topic-partition."}
        assert {body["key"]["type"], body["value"]["type"]} == {"BINARY"}
        headers = {one["name"]: base64.b64decode(one["value"]) for one in body["headers"]}
        key, value = (base64.b64decode(body[part]["data"]) for part in ("key", "value"))
        self._produce(topic, key, value, headers)
        self.offset += 1
        place = {"cluster_id": cluster, "topic_name": topic, "partition_id": 0, "offset": self.offset}
        return 200, {"error_code": 200, **place}
