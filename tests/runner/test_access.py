"""A Kafka that asks who is there: SCRAM over TLS, and rights that lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
)
from confluent_kafka.admin import ResourceType as Resource

from kafka import Kafka
from pointsman.bus.local import LocalBroker
from runner.pipelines import Pipeline, events


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker with users and rights."""
    with LocalBroker(tmp_path_factory.mktemp("guarded"), security="scram-tls") as local:
        yield local


def test_scram_over_tls_through_kafka_properties(
    guarded: LocalBroker, pipeline_on: Callable[..., Pipeline]
) -> None:
    """The document's own properties are all that a login needs."""
    pipeline = pipeline_on(Kafka(guarded.client_config))
    assert pipeline.document["kafka"]["security.protocol"] == "SASL_SSL"
    pipeline.send(events(100))
    assert pipeline.run("--until-idle", "0.2").summary["decisions"] == 100


def test_rights_that_lack_are_named(guarded: LocalBroker, pipeline_on: Callable[..., Pipeline]) -> None:
    """Without a right the run ends with exit code 3, names what it lacks it for, and commits nothing."""
    assert guarded.security is not None
    kafka = Kafka(guarded.client_config)
    pipeline = pipeline_on(kafka)
    pipeline.send(events(10))
    guest = guarded.security.guest
    pipeline.document["kafka"] = {"bootstrap.servers": guarded.bootstrap, **guarded.security.client(guest)}
    said = "".join(pipeline.run("--until-idle", "0.2", code=3).errors)
    assert pipeline.source in said
    assert "pointsman topics --acls" in said

    written = [f"{pipeline.name}.decisions", f"{pipeline.name}.dead-letters"]
    for name in written:
        kafka.create_topic(name, 4)
        allow(kafka, guest.user, Resource.TOPIC, name, AclOperation.DESCRIBE)
    allow(kafka, guest.user, Resource.TOPIC, pipeline.source, AclOperation.READ)
    membership = allow(kafka, guest.user, Resource.GROUP, pipeline.name, AclOperation.READ)
    said = "".join(pipeline.run("--until-idle", "0.2", code=3).errors)
    assert f"cannot write to {pipeline.name}.decisions" in said

    for name in written:
        allow(kafka, guest.user, Resource.TOPIC, name, AclOperation.WRITE)
    kafka.admin.delete_acls([membership])[membership].result(10)
    said = "".join(pipeline.run("--until-idle", "0.2", code=3).errors)
    assert f"the group {pipeline.name}" in said

    allow(kafka, guest.user, Resource.GROUP, pipeline.name, AclOperation.READ)
    assert pipeline.run("--until-idle", "0.2").summary["decisions"] == 10


def allow(
    kafka: Kafka, user: str, resource: Resource, name: str, operation: AclOperation
) -> AclBindingFilter:
    """Gives `user` a right; returns what finds it."""
    binding = AclBinding(
        resource, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )
    kafka.admin.create_acls([binding])[binding].result(10)
    return AclBindingFilter(
        resource, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )
