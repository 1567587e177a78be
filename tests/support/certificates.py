"""Certificates for one test: an authority, and what it signs for 127.0.0.1."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.mosquitto import Tls


class Authority:
    """Signs certificates; its own stands in `<folder>/<name>.pem`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = _write(folder / f"{name}.pem", certificate)

    def sign(
        self, name: str, *, address: str = "127.0.0.1", hours: tuple[int, int] = (-1, 1)
    ) -> Tls:
        """A certificate, good for both ends of a connection.

        Args:
            name: of its files, and what it is called.
            address: it is for.
            hours: from and until when, counted from now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        place = x509.IPAddress(ipaddress.ip_address(address))
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _builder(_name(name), self._name, key.public_key(), hours)
            .add_extension(x509.SubjectAlternativeName([place]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        key_pem = self._folder / f"{name}.key"
        key_pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Tls(ca=self.pem, cert=_write(self._folder / f"{name}.pem", certificate), key=key_pem)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    hours: tuple[int, int] = (-1, 1),
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(hours=hours[0]))
        .not_valid_after(now + dt.timedelta(hours=hours[1]))
    )


def _write(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
