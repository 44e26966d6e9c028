"""V-TLS against real handshakes: a server on loopback with certificates that are wrong in one way each."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from admin.verify.context import Context, Options, trust
from admin.verify.model import Failed, Warned
from admin.verify.tls import days_left, handshake

HOST = "jupyter.example.org"
Authority = tuple[x509.Name, ec.EllipticCurvePrivateKey, str]


def certificate(
    name: str, days: tuple[int, int], issuer: Authority | None
) -> tuple[str, ec.EllipticCurvePrivateKey]:
    """PEM and key of a certificate for `name`, good from and to so many days from now; no issuer: a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0] if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), key


def authority(name: str) -> Authority:
    pem, key = certificate(name, (-10, 3000), None)
    return x509.load_pem_x509_certificate(pem.encode()).subject, key, pem


OURS, THEIRS = authority("Our CA"), authority("Somebody else's CA")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str, ec.EllipticCurvePrivateKey], int]]:
    """Starts a TLS server with a certificate; its port."""
    sockets = []

    def start(pem: str, key: ec.EllipticCurvePrivateKey) -> int:
        both = tmp_path / "server.pem"
        plain = serialization.NoEncryption()
        both.write_bytes(
            pem.encode()
            + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def answer() -> None:
            try:
                client, _ = listening.accept()
                context.wrap_socket(client, server_side=True).close()
            except OSError:
                pass

        threading.Thread(target=answer, daemon=True).start()
        port: int = listening.getsockname()[1]
        return port

    yield start
    for opened in sockets:
        opened.close()


def seen(
    context: Context, serve: Callable[..., int], name: str, days: tuple[int, int], issuer: Authority
) -> None:
    context.tls = trust(OURS[2])
    port = serve(*certificate(name, days, issuer))
    context.notes["certificate"] = handshake(context, HOST, port, "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "days", "issuer", "says"),
    [
        (HOST, (-9, -1), OURS, "The certificate has expired."),
        ("default.ingress.local", (-1, 90), OURS, f"not for {HOST}"),
        (HOST, (-1, 90), THEIRS, "not trusted"),
        (HOST, (1, 90), OURS, "not trusted: certificate is not yet valid"),
    ],
)
def test_a_certificate_that_browsers_refuse_is_told_by_its_reason(
    name: str,
    days: tuple[int, int],
    issuer: Authority,
    says: str,
    context: Context,
    serve: Callable[..., int],
) -> None:
    with pytest.raises(Failed, match=says):
        seen(context, serve, name, days, issuer)


@pytest.mark.parametrize(
    ("days", "options", "raises"),
    [
        (90, Options(), None),
        (20, Options(), Warned),
        (20, Options(warn_days=19), None),
        (2, Options(), Failed),
        (90, Options(warn_days=100), Warned),
        (90, Options(fail_days=100), Failed),
    ],
)
def test_days_left(
    days: int, options: Options, raises: type[Failed] | None, context: Context, serve: Callable[..., int]
) -> None:
    context.options = replace(options)
    seen(context, serve, HOST, (-1, days), OURS)

    if raises is None:
        assert f"{days} days" in days_left(context)
    else:
        with pytest.raises(raises) as fault:
            days_left(context)
        assert type(fault.value) is raises
        assert f"ends in {days - 1}.9" in f"{fault.value}" or f"ends in {days}.0" in f"{fault.value}"


def test_nobody_there_and_no_tls(context: Context) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(Failed, match="cannot be reached"):
        handshake(context, HOST, port, "127.0.0.1")
