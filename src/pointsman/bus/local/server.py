"""The settings of the local Kafka server: one node, loopback only, small and quick to start."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pointsman.base.errors import EnvironmentFault

__all__ = ["Login", "Security", "make_security", "server_properties"]

MAX_MESSAGE_BYTES = 17 << 20  # the client's largest record and its batch

_SETTINGS = f"""\
node.id=1
process.roles=broker,controller
controller.listener.names=CONTROLLER
auto.create.topics.enable=false
# What a single node can hold.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
# What a killed producer left open is aborted soon after its time-out, and readers go on.
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# After a crash the node waits until its former self counts as gone.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# Groups start at once, and a client may ask to be missed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Retention works by record time: replayed old events would vanish within minutes.
log.retention.ms=-1
message.max.bytes={MAX_MESSAGE_BYTES}
replica.fetch.max.bytes={MAX_MESSAGE_BYTES}
"""


@dataclass(frozen=True, slots=True)
class Login:
    """A user of a secured broker."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Security:
    """SASL SCRAM-SHA-512 over TLS, with access control.

    Attributes:
        admin: May do everything.
        guest: May do nothing until an ACL says so.
        certificate: PEM file of the server's own certificate, for clients to trust.
        keystore: PKCS 12 file with the certificate and its key.
        store_password: Opens `keystore`.
    """

    admin: Login
    guest: Login
    certificate: Path
    keystore: Path
    store_password: str

    def client(self, login: Login) -> dict[str, str]:
        """Returns the librdkafka properties with which `login` connects."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": login.user,
            "sasl.password": login.password,
            "ssl.ca.location": str(self.certificate),
        }

    def format_arguments(self) -> list[str]:
        """Returns what makes `StorageTool format` create both users."""
        return [
            argument
            for login in (self.admin, self.guest)
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={login.user},password={login.password}]")
        ]


def make_security(directory: Path, java: Path) -> Security:
    """Makes a fresh self-signed certificate for 127.0.0.1 and two users with fresh passwords."""
    store, certificate = directory / "server.p12", directory / "server.pem"
    for old in (store, certificate):
        old.unlink(missing_ok=True)
    password = secrets.token_hex(12)
    common = ["-alias", "server", "-keystore", str(store), "-storetype", "PKCS12", "-storepass", password]
    make = [
        "-genkeypair",
        "-keyalg",
        "RSA",
        "-keysize",
        "2048",
        "-validity",
        "3650",
        "-dname",
        "CN=localhost",
    ]
    keytool = java.parent / "keytool"
    try:
        for arguments in (
            [*make, "-ext", "san=ip:127.0.0.1,dns:localhost", *common],
            ["-exportcert", "-rfc", "-file", str(certificate), *common],
        ):
            subprocess.run([str(keytool), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stdout", "") or error
        raise EnvironmentFault(f"{keytool} could not make a certificate: {said}") from error
    return Security(
        admin=Login("admin", secrets.token_hex(12)),
        guest=Login("guest", secrets.token_hex(12)),
        certificate=certificate,
        keystore=store,
        store_password=password,
    )


def server_properties(port: int, controller_port: int, security: Security | None) -> str:
    """Returns the text of server.properties; its paths are relative, so that the folder may have any name.

    With `security`, clients meet SASL over TLS; the broker's own connections use a second listener
    without it, on a port that the system picks and nobody is told.
    """
    voters = f"controller.quorum.voters=1@127.0.0.1:{controller_port}"
    settings = [_SETTINGS, "log.dirs=data", voters]
    controller = f"CONTROLLER://127.0.0.1:{controller_port}"
    if security is None:
        settings += [
            f"listeners=PLAINTEXT://127.0.0.1:{port},{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
        ]
    else:
        settings += [
            f"listeners=CLIENT://127.0.0.1:{port},INTERNAL://127.0.0.1:0,{controller}",
            f"advertised.listeners=CLIENT://127.0.0.1:{port},INTERNAL://127.0.0.1:0",
            "listener.security.protocol.map=CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=INTERNAL",
            "listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512",
            "listener.name.client.scram-sha-512.sasl.jaas.config="
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            f"ssl.keystore.location={security.keystore.name}",
            f"ssl.keystore.password={security.store_password}",
            "ssl.keystore.type=PKCS12",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            f"super.users=User:ANONYMOUS;User:{security.admin.user}",
        ]
    return "\n".join(settings) + "\n"
