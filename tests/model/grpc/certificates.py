"""A certificate authority for tests."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates; `path` holds its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Test authority")
        self.path = folder / "ca.pem"
        own = self._builder(self._name, self._key, False).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.path.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def pair(self, name: str, *, expired: bool = False, password: str | None = None) -> Pair:
        """A certificate for a host name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key, expired).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
        stem = f"{name}{'-expired' if expired else ''}{'-locked' if password else ''}"
        cert, path = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        cert.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        lock = (
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption()
        )
        form = serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
        return Pair(cert, path)

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, expired: bool
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now - DAY if expired else now + DAY)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
