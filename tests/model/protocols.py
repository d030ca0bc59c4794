"""The page of protocols and their behaviours: `python -m model.protocols` writes it, a test compares it."""

from __future__ import annotations

from pathlib import Path

from model.grpc.subjects import SUBJECTS as GRPC
from model.kafka.stand import SUBJECT as KAFKA
from model.kafka.subjects import SUBJECTS as KAFKA_REST
from model.rest.subjects import SUBJECTS as REST
from pointsman.model.testing import table
from servers import kserve, mlflow, mlserver, pythie, triton

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"

HEAD = """\
# Protocols and their behaviours

Written by the conformance suite (`pointsman.model.testing`), which runs every line of the table against a
server that misbehaves on demand: "yes" was shown by a test, a number gives the reason why it does not apply.
Which protocols were tried with a real server too, and which only with a stand-in, stands
[below](#real-servers).
A protocol of your own passes the same suite:

```python
SUBJECT = Subject("mine", open_mine, rows=[(1.0,), (2.0,)], replies=[3.0, 5.0])


@pytest.mark.parametrize("behaviour", behaviours_of(SUBJECT), ids=str)
def test_conformance(behaviour):
    asyncio.run(check(behaviour, SUBJECT, MyServer))
```

"""

REAL = """
## Real servers

`make test-servers` starts these, each in an environment of its own that is made once and kept under the
user's cache folder, and runs what needs no fault against them, besides what only a real server shows: how it
refuses an input, raises, lacks a model or a version, goes away and comes back.

| server | protocols |
| --- | --- |
"""

STAND_INS = """
## Stand-ins

What no package registry serves was not tried with the real thing, only with a stand-in that was written
from the public protocol documentation: TensorFlow Serving's REST API (row and column format), OpenAI's API,
and a Kafka REST proxy (v2 and v3). If yours answers differently, that is a bug of ours: please say so.
"""

SERVERS = [
    (mlserver.REQUIREMENTS, "`open_inference` by REST and gRPC"),
    (kserve.REQUIREMENTS, "`kserve`, `open_inference` by REST and gRPC"),
    (mlflow.REQUIREMENTS, "`mlflow` as a table and as `inputs`"),
    (triton.REQUIREMENTS, "`open_inference` by REST and gRPC, typed and raw"),
    (pythie.REQUIREMENTS, "`tensorflow_serving` by gRPC"),
]


def page() -> str:
    """The page's text."""
    stood = (*REST.values(), *GRPC.values(), *KAFKA_REST.values())
    subjects = [KAFKA, *(subject for subject, _ in stood)]
    servers = "".join(f"| {' '.join(names)} | {what} |\n" for names, what in SERVERS)
    return HEAD + table(sorted(subjects, key=lambda one: one.name)) + REAL + servers + STAND_INS


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
