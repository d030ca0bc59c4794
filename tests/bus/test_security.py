"""SASL SCRAM over TLS through `kafka:` properties, against a broker that checks logins and rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kafka import Kafka
from pointsman.base.errors import EnvironmentFault
from pointsman.bus.client import connect
from pointsman.bus.local import LocalBroker
from pointsman.bus.topics import Topics


@pytest.fixture(scope="module")
def secured() -> Iterator[LocalBroker]:
    """A broker that asks for a login and has a topic `payments`."""
    with LocalBroker(security="scram-tls") as local:
        Topics(local.client_config).create("payments", 2)
        yield local


def test_records_travel_over_sasl_and_tls(secured: LocalBroker) -> None:
    """With user, password and certificate authority under `kafka:` a client writes and reads."""
    assert secured.client_config["security.protocol"] == "SASL_SSL"
    kafka = Kafka(secured.client_config)
    kafka.produce("payments", [("k", "v")])
    assert [message.value() for message in kafka.consume_all("payments")] == [b"v"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sasl.password": "wrong"}, "refuses the login as 'admin' by SCRAM-SHA-512"),
        ({"sasl.mechanism": "PLAIN"}, "refuses the login as 'admin' by PLAIN"),
        ({"ssl.ca.location": "probe"}, "TLS with .* failed .*ssl.ca.location"),
    ],
)
def test_a_refusal_ends_it_at_once_and_says_why(
    change: dict[str, str], message: str, secured: LocalBroker
) -> None:
    """Trying again cannot help a wrong password or authority: the error comes long before the limit."""
    with pytest.raises(EnvironmentFault, match=message):
        connect({**secured.client_config, **change}, seconds=3600)


def test_without_a_right_the_topic_is_named(secured: LocalBroker) -> None:
    """Who may not use a topic reads which, and not that it does not exist."""
    assert secured.security is not None
    guest = {**secured.client_config, **secured.security.client(secured.security.guest)}
    topics = Topics(guest)
    with pytest.raises(EnvironmentFault, match=r"no right to the topic payments .*pointsman topics --acls"):
        topics.require_sources(["payments"])
    with pytest.raises(EnvironmentFault, match=r"cannot .* the topic p\.decisions: no right"):
        topics.ensure_derived(["p.decisions"], 1)
    with pytest.raises(EnvironmentFault, match="no right to the topic new"):
        topics.create("new", 1)
    with pytest.raises(EnvironmentFault, match="the offsets of the group pay: no right to the group"):
        topics.lag("pay", ["payments"])
