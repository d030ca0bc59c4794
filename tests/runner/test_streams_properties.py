"""librdkafka's properties in the words of Java's clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pointsman.base.errors import Misfit
from pointsman.runner.streams_properties import java_properties

KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("kafka", "java"),
    [
        ({"bootstrap.servers": "a:1"}, {"bootstrap.servers": "a:1"}),
        ({"metadata.broker.list": "a:1"}, {"bootstrap.servers": "a:1"}),
        ({"queue.buffering.max.kbytes": 2048}, {"buffer.memory": "2097152"}),
        ({"message.timeout.ms": 9000}, {"delivery.timeout.ms": "9000"}),
        ({"compression.type": "zstd", "compression.level": 5}, {"compression.zstd.level": "5"}),
        ({"compression.type": "none", "compression.level": 5}, {"compression.type": "none"}),
        ({"check.crcs": True}, {"check.crcs": "true"}),
        ({"ssl.endpoint.identification.algorithm": "none"}, {"ssl.endpoint.identification.algorithm": ""}),
        ({"group.id": "g", "auto.offset.reset": "latest", "socket.nagle.disable": True}, {}),
    ],
)
def test_names_and_units_are_javas(kafka: dict[str, Any], java: dict[str, str]) -> None:
    """What has another name or unit in Java gets it; what is said in another place is left out."""
    found = java_properties(kafka)
    assert found == {**found, **java}
    assert java or not found


@pytest.mark.parametrize(
    ("mechanism", "module"),
    [("PLAIN", "plain.PlainLoginModule"), ("SCRAM-SHA-512", "scram.ScramLoginModule")],
)
def test_a_login_with_a_password(mechanism: str, module: str) -> None:
    """User and password stand in a JAAS line, quoted so that no password ends it."""
    found = java_properties(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": "ada",
            "sasl.password": 'a"b\\c;',
        }
    )
    assert found == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": (
            f'org.apache.kafka.common.security.{module} required username="ada" password="a\\"b\\\\c;";'
        ),
    }


def test_a_login_by_oauth() -> None:
    """OIDC's client credentials are Java's callback handler's."""
    found = java_properties(
        {
            "security.protocol": "sasl_ssl",
            "sasl.mechanisms": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": "me",
            "sasl.oauthbearer.client.secret": "s",
            "sasl.oauthbearer.token.endpoint.url": "https://id.example/token",
        }
    )
    assert found["sasl.oauthbearer.token.endpoint.url"] == "https://id.example/token"
    assert 'clientId="me" clientSecret="s";' in found["sasl.jaas.config"]
    assert found["sasl.login.callback.handler.class"].endswith("OAuthBearerLoginCallbackHandler")


def test_certificates_are_handed_over_as_text(tmp_path: Path) -> None:
    """Java takes PEM as it stands, so that whoever runs the client needs no file."""
    for name, text in (("ca", "CA"), ("cert", "CERT"), ("key", KEY)):
        (tmp_path / f"{name}.pem").write_text(text)
    found = java_properties(
        {
            "ssl.ca.location": str(tmp_path / "ca.pem"),
            "ssl.certificate.location": str(tmp_path / "cert.pem"),
            "ssl.key.location": str(tmp_path / "key.pem"),
            "ssl.key.password": "p",
        }
    )
    assert found == {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": "CA",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": "CERT",
        "ssl.keystore.key": KEY,
        "ssl.key.password": "p",
    }


@pytest.mark.parametrize(
    ("kafka", "told"),
    [
        ({"statistics.interval.ms": 1000}, "nothing like it"),
        ({"enable.ssl.certificate.verification": False}, "nothing like it"),
        ({"ssl.ca.location": "/nowhere.pem"}, "cannot be read"),
        ({"ssl.certificate.pem": "C", "ssl.key.pem": "-----BEGIN RSA PRIVATE KEY-----"}, "PKCS#8"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "AWS"}, "no mechanism AWS"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "oidc"),
    ],
)
def test_what_java_cannot_is_refused_by_name(kafka: dict[str, Any], told: str) -> None:
    """No property is dropped in silence that would change what the clients do."""
    with pytest.raises(Misfit, match=told) as raised:
        java_properties(kafka)
    assert raised.value.path[0] == "kafka"
    assert raised.value.path[1] in (*kafka, "sasl.mechanism")
