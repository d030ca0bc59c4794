"""The rights that `pointsman topics --acls` prints are what a run needs; one that lacks is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType
from confluent_kafka.admin import ResourceType as Resource
from typer.testing import CliRunner

from kafka import Kafka
from pointsman.bus.local import LocalBroker
from pointsman.cli.main import app
from runner.pipelines import Pipeline, events

KINDS = {"topic": Resource.TOPIC, "group": Resource.GROUP, "transactional-id": Resource.TRANSACTIONAL_ID}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker with users and rights."""
    with LocalBroker(tmp_path_factory.mktemp("guarded"), security="scram-tls") as local:
        yield local


def topics(pipeline: Pipeline, *arguments: str) -> Any:
    done = CliRunner().invoke(app, ["topics", str(pipeline.write()), "--json", *arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def remembers(guarded: LocalBroker, pipeline_on: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline with state and events that go on by another key; its user has no rights yet."""
    assert guarded.security is not None
    pipeline = pipeline_on(Kafka(guarded.client_config))
    pipeline.document["enrich"] = {
        "a_seen": {"window": {"key": "k", "over": "1h", "count": True}},
        "kinds": {"window": {"key": "kind", "over": "1h", "count": True, "repartition": True}},
    }
    topics(pipeline, "--create", "--split")
    pipeline.document["kafka"] = {
        "bootstrap.servers": guarded.bootstrap,
        **guarded.security.client(guarded.security.guest),
    }
    return pipeline


def grant(pipeline: Pipeline, user: str, *roles: str, but: str = "") -> None:
    """Gives a user what the roles need, but for one kind of thing."""
    bindings = []
    for right in topics(pipeline, "--acls"):
        if right["role"] not in roles or right["resource"] == but:
            continue
        prefixed = "prefixed" in right["command"]
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        for operation in right["operations"]:
            name = "".join(f"_{c}" if c.isupper() else c for c in operation).lstrip("_").upper()
            bindings.append(
                AclBinding(
                    KINDS[right["resource"]],
                    right["name"],
                    pattern,
                    f"User:{user}",
                    "*",
                    AclOperation[name],
                    AclPermissionType.ALLOW,
                )
            )
    for future in pipeline.kafka.admin.create_acls(bindings).values():
        future.result(10)


def test_the_rights_of_run_are_enough(guarded: LocalBroker, remembers: Pipeline) -> None:
    """Without the transactional id it ends with exit code 3 and names it; with it, it runs."""
    assert guarded.security is not None
    guest = guarded.security.guest.user
    remembers.send(events(100))
    grant(remembers, guest, "run", but="transactional-id")
    said = "".join(remembers.run("--until-idle", "1", "--instance", "a", code=3).errors)
    assert f"the transactional id {remembers.name}-a-0" in said
    assert "pointsman topics --acls" in said
    grant(remembers, guest, "run")
    assert remembers.run("--until-idle", "1").summary["decisions"] == 100


def test_the_rights_of_a_split_deployment_are_enough(guarded: LocalBroker, remembers: Pipeline) -> None:
    """Router and dispatcher each run with what is printed for them."""
    assert guarded.security is not None
    guest = guarded.security.guest.user
    remembers.send(events(100))
    grant(remembers, guest, "run --role route", but="transactional-id")
    said = "".join(remembers.run("--role", "route", "--until-idle", "1", code=3).errors)
    assert "the transactional id" in said
    grant(remembers, guest, "run --role route")
    remembers.run("--role", "route", "--until-idle", "1")
    dispatch = ("--role", "dispatch", "--model", "fast", "--until-idle", "1")
    grant(remembers, guest, "run --role dispatch --model fast")
    assert remembers.run(*dispatch).summary["decisions"] == 100
