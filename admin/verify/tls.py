"""V-TLS: the certificate that browsers get is good for the name, trusted, and has time left."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import Any

from admin.verify.context import TIMEOUT, Context
from admin.verify.model import Failed, Register, Warned

check = Register()
HOSTNAME_MISMATCH = 62
EXPIRED = 10
"""OpenSSL's X509_V_ERR_* numbers."""


@check("V-TLS-01", "the certificate is good for the hub's name and trusted")
def trusted(context: Context) -> str:
    """A handshake as a browser does it, with the system's CAs and identity.caBundle."""
    certificate = handshake(context, context.settings.hub_host, 443)
    issuer = dict(pair[0] for pair in certificate["issuer"])
    context.notes["certificate"] = certificate
    return (
        f"{context.settings.hub_host}, issued by {issuer.get('commonName') or issuer.get('organizationName')}"
    )


@check("V-TLS-02", "the certificate has time left", "V-TLS-01")
def days_left(context: Context) -> str:
    """Days until it ends."""
    ends = ssl.cert_time_to_seconds(context.notes["certificate"]["notAfter"])
    left = (ends - datetime.now(UTC).timestamp()) / 86_400
    seen = f"{left:.0f} days, until {datetime.fromtimestamp(ends, UTC):%Y-%m-%d}"
    sentence = f"The certificate ends in {left:.1f} days."
    renew = "Renew tls_certificate and tls_private_key or the Secret of hub.tls.secretName, or see cert-manager's log."
    if left < context.options.fail_days:
        raise Failed(sentence, renew, seen)
    if left < context.options.warn_days:
        raise Warned(sentence, renew, seen)
    return seen


def handshake(context: Context, host: str, port: int, address: str = "") -> dict[str, Any]:
    """The certificate of a verified connection, as ssl gives it. `address`: where to connect, by default `host`.

    Raises Failed with what is wrong.
    """
    renew = "Set tls_certificate and tls_private_key, hub.tls.secretName or hub.tls.clusterIssuer, then `pulumi up`."
    try:
        with (
            socket.create_connection((address or host, port), timeout=TIMEOUT) as plain,
            context.tls.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return dict(secured.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == HOSTNAME_MISMATCH:
            raise Failed(
                f"The certificate is not for {host} ({error.verify_message}): is it the ingress controller's own?",
                renew,
            ) from error
        if error.verify_code == EXPIRED:
            raise Failed("The certificate has expired.", renew) from error
        raise Failed(
            f"The certificate is not trusted: {error.verify_message}.",
            "Use one of a CA that browsers know, with its whole chain; a private CA goes into identity.caBundle.",
        ) from error
    except ssl.SSLError as error:
        raise Failed(f"{host}:{port} speaks no TLS that is good enough ({error.reason}).", renew) from error
    except OSError as error:
        raise Failed(
            f"{host}:{port} cannot be reached: {error}.", "See the DNS entry, the Ingress and its controller."
        ) from error
