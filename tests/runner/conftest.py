"""Pipelines on the session's broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafka import Kafka
from runner.pipelines import Pipeline


@pytest.fixture
def pipeline(broker: Kafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline with a fast Python model and four source partitions."""
    made = Pipeline(broker, tmp_path)
    yield made
    made.close()


@pytest.fixture
def pipeline_on(tmp_path: Path) -> Iterator[Callable[..., Pipeline]]:
    """Makes a pipeline on another broker."""
    made: list[Pipeline] = []

    def make(kafka: Kafka, partitions: int = 4) -> Pipeline:
        made.append(Pipeline(kafka, tmp_path, partitions))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()
