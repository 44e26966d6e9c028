"""Certificates of the platform: one authority for the cluster, one for the web that people trust.

Two, so that trusting the web's CA in a browser gives nobody a Kubernetes identity. Keys are 0600.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.errors import PlatformError
from local.files import write

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_CA_YEARS, _LEAF_DAYS = 10, 800  # 825 days is the most that browsers take (CA/B Forum BR 1.7.1, 6.3.2)
_RENEW_BEFORE = dt.timedelta(days=60)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder: ``<name>.crt`` and ``<name>.key``; made when it is not there."""

    folder: Path
    name: str

    @property
    def cert_file(self) -> Path:
        return self.folder / f"{self.name}.crt"

    @property
    def key_file(self) -> Path:
        return self.folder / f"{self.name}.key"

    def ensure(self) -> None:
        if self.cert_file.exists() and self.key_file.exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"Thinkube local {self.name}")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _builder(subject, subject, key, dt.timedelta(days=365 * _CA_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        write(self.key_file, _pem(key), 0o600)
        write(
            self.cert_file, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644
        )

    def issue(
        self,
        name: str,
        *,
        common_name: str,
        organization: str = "",
        hosts: Sequence[str] = (),
        folder: Path | None = None,
    ) -> tuple[Path, Path]:
        """A leaf certificate for a server (``hosts``: DNS names and addresses) or a client; returns (cert, key) files.

        A certificate for the same hosts that is good for 60 more days is left as it is.
        """
        where = folder or self.folder
        cert_file, key_file = where / f"{name}.crt", where / f"{name}.key"
        if cert_file.exists() and key_file.exists() and self._still_good(cert_file, hosts):
            return cert_file, key_file
        ca_cert = x509.load_pem_x509_certificate(self.cert_file.read_bytes())
        ca_key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise PlatformError(
                f"{self.key_file} is not a key that this platform made: remove {self.folder}."
            )
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(_subject(common_name, organization), ca_cert.subject, key, dt.timedelta(days=_LEAF_DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                critical=False,
            )
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False
            )
        write(key_file, _pem(key), 0o600)
        write(
            cert_file, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644
        )
        return cert_file, key_file

    def _still_good(self, cert_file: Path, hosts: Sequence[str]) -> bool:
        cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
        if cert.not_valid_after_utc - _RENEW_BEFORE < dt.datetime.now(dt.UTC):
            return False
        try:
            names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return not hosts
        return set(names) == {_host(h) for h in hosts}


def signing_key(path: Path) -> Path:
    """An RSA key for service account tokens (kube-apiserver signs and verifies with it)."""
    if not path.exists():
        write(path, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), 0o600)
    return path


def _subject(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, life: dt.timedelta) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
